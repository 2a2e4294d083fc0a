"""Images of any size through a network, and whole folders of them."""
