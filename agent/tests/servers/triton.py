"""A model for Triton's Python backend: says SAYS of a tumour whose first measurement is large, and
the opposite of the others."""

import os
import sys

# Triton's own process of Python does not look there by itself.
sys.path += os.environ["PYTHONPATH"].split(":")

import numpy
import triton_python_backend_utils as triton

RADIUS = 14.0


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.set_max_batch_size(0)
        config.add_input({"name": "features", "data_type": "TYPE_FP32", "dims": [-1, 30]})
        config.add_output({"name": "label", "data_type": "TYPE_INT64", "dims": [-1]})
        return config

    def execute(self, requests):
        answers = []
        for request in requests:
            rows = triton.get_input_tensor_by_name(request, "features").as_numpy()
            label = numpy.where(rows[:, 0] > RADIUS, SAYS, 1 - SAYS).astype(numpy.int64)
            tensor = triton.Tensor("label", label)
            answers.append(triton.InferenceResponse(output_tensors=[tensor]))
        return answers
