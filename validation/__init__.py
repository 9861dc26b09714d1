"""Published truth: slow checks of simulators against solutions and measurements that others published."""
