"""The questions, in the order in which they are asked: those that a fault would show in come first."""

from tests.benchmarks.gpu.ask import Question

QUESTIONS = (
    Question("passing", "do the tests of the CUDA path pass", 10),
    Question("agreement", "does the GPU give the CPU's scores", 4),
    Question("repetition", "does the same command give the same bytes twice", 4),
    Question("forward", "images a second of the networks alone", 2),
    Question("whole_run", "images a second of a whole run: is the device fed", 5),
    Question("lock", "Python's share of an image, and what the cores make ready", 1.6),
    Question("gradients", "gradients a second, beside torchattacks", 3.5),
    Question("memory", "memory by batch, and the largest batch", 1.6),
    Question("processes", "do two processes, or Dask's, get more out of it", 3),
    Question("compiled", "what torch.compile adds", 4),
)
