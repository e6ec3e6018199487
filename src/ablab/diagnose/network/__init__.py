"""What is wrong with a network: what it sees, what of it works, how signals pass, where the time goes.

Every reading takes a module and images or batches, leaves no trace on the module (modes, buffers, gradients, hooks,
generators), and gives frozen dataclasses of plain numbers; `*_findings` says what of them is a fault.
"""
