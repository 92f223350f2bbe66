"""Containers: names of images, the docker command, and what every manifest for Kubernetes has."""
