"""Servers and clients that the benchmarks run as processes of their own.

Each is told what to do by lines of JSON on its standard input, the first of which is its plan, and
answers each with one line on its standard output. It ends when its input does, so that none
outlives the benchmark that started it, however that ends. Linux only: the clients use epoll, and
times are compared between processes, as CLOCK_MONOTONIC is one for all of them.
"""
