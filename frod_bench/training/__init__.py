"""One cell -> one record: the loop, its checkpoints, its processes and its tracker."""
