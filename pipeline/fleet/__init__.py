"""A fleet of refrigerated delivery trucks: physics that hang together, sensors that lie a little, labelled faults."""
