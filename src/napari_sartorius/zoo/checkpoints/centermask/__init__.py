"""CenterMask2's and LIVECell's anchor-free checkpoints."""
