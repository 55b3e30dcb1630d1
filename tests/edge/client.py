"""A well-behaved client in a process of its own: one call after the other at a steady pace.

Prints one JSON object: the times of its calls in milliseconds, and the codes of those that failed.
"""
import json
import sys
import time

import grpc

import program


def main(address, seconds, per_second, ca):
    times, errors = [], []
    with program.channel(address, ca=ca) as channel:
        classify = program.unary(channel)
        request = program.one(f"The ministry of {program.CANARY} denied it on Tuesday.")
        classify(request, timeout=10, wait_for_ready=True)
        began = time.monotonic()
        n = 0
        while time.monotonic() - began < seconds:
            sent = time.perf_counter()
            try:
                classify(request, timeout=10)
                times.append((time.perf_counter() - sent) * 1e3)
            except grpc.RpcError as error:
                errors.append(error.code().name)
            n += 1
            time.sleep(max(0.0, began + n / per_second - time.monotonic()))
    json.dump({"times": times, "errors": errors}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
