"""Offers calls at a rate, whether or not the server keeps up (an open loop), in a process of its own.

Prints one JSON object: times in milliseconds of the calls that were answered and of those that were
refused, and the codes of all other ends. A rate of 0 keeps four calls running instead (a closed loop).
"""
import json
import random
import sys
import threading
import time

import grpc

import program


def main(address, per_second, seconds):
    text = (f"The minister of {program.CANARY} denied it on Monday. Residents want answers, she said. "
            * 400).encode()
    request = program.field(1, text)
    answered, refused, others = [], [], []
    pending = threading.Semaphore(0)
    room = threading.Semaphore(4)
    with program.channel(address, ("grpc.max_receive_message_length", -1)) as channel:
        classify = program.unary(channel, "ClassifyText")
        classify(request, timeout=30, wait_for_ready=True)

        def ended(sent):
            def done(call):
                took = (time.perf_counter() - sent) * 1e3
                code = call.code()
                if code == grpc.StatusCode.OK:
                    answered.append(took)
                elif code == grpc.StatusCode.RESOURCE_EXHAUSTED:
                    refused.append(took)
                else:
                    others.append(code.name)
                room.release()
                pending.release()
            return done

        began = due = time.perf_counter()
        n = 0
        while (now := time.perf_counter()) - began < seconds:
            if per_second:
                due += random.expovariate(per_second)
                time.sleep(max(0.0, due - now))
            else:
                room.acquire()
            call = classify.future(request, timeout=30)
            call.add_done_callback(ended(time.perf_counter()))
            n += 1
        offering = time.perf_counter() - began
        for _ in range(n):
            pending.acquire()
        # Those that were still to be answered are among the answered, so their time counts.
        took = time.perf_counter() - began
    json.dump({"answered": answered, "refused": refused, "others": others, "offered": n, "offering": offering,
               "seconds": took}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
