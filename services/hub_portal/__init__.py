"""The portal: pages about the cluster and its kernels, in the Hub's own look."""
