"""What the inventory of a model shows beside its tensors: matrices in little, the embedding's map, attention."""
