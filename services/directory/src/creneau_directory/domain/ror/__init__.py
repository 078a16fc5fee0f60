"""The rules of the ROR (répertoire national de l'offre et des ressources en santé): its facets, who sees what, capacities."""
