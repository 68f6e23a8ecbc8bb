"""Where accuracy goes: model, float and integer network side by side, by layer and by time steps."""
