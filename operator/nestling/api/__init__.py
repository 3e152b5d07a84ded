"""What users write: the kinds, their models, defaults and schemas."""
