"""What the Helm chart is made of that must not drift from the program: its values, kinds and rights."""
