"""The main job on real input, through the deployed template: `make demo`."""
