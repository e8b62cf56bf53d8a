"""`make demo`: the main job in about a minute, against emulated backends."""
