"""How much grain there is, measured."""
