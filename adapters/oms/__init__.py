"""The `oms` kind: CMS OMS, which is only asked."""
