"""How the weights that come with Wetgate were made; nothing here runs on a film."""
