"""What a run of each layer does, in order: read, transform, conform, judge, write, gate, publish."""
