"""The questions, in the order in which they are asked: those that a fault would show in come first."""

from tests.benchmarks.gpu.ask import Question

QUESTIONS = (
    Question("passing", "do the tests of the CUDA path pass", 5),
    Question("agreement", "does the GPU give the CPU's scores", 3),
    Question("repetition", "does the same command give the same bytes twice", 3),
    Question("forward", "images a second of the networks alone", 2),
    Question("whole_run", "images a second of a whole run: is the device fed", 2.5),
    Question("lock", "Python's share of an image, and what the cores make ready", 1),
    Question("gradients", "gradients a second, beside torchattacks", 2),
    Question("memory", "memory by batch, and the largest batch", 1),
    Question("processes", "do two processes, or Dask's, get more out of it", 1.5),
    Question("compiled", "what torch.compile adds", 2.5),
)
