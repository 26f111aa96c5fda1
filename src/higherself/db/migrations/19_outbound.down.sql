DROP TABLE suppression, delivery;
