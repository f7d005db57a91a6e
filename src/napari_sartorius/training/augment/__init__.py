"""Random changes of training crops, one file per family; which are drawn stands in `config`."""
