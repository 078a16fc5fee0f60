"""A fictional France of any size: real communes, densities by profession and speciality, invented people with valid keys."""
