"""Questions: asked of the backend when it is there, answered from what was kept when it is not."""
