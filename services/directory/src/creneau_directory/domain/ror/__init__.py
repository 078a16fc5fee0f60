"""The rules of the ROR (répertoire national de l'offre et des ressources en santé): facets, visibility, capacities."""
