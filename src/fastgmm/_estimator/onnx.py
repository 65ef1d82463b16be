"""What skl2onnx asks of a mixture, alone or in a Pipeline. Its converters of scikit-learn's classes do the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastgmm._estimator.conversion import Conversion
from fastgmm._estimator.noise import check_has_no_noise


class OnnxConversion(Conversion):
    """The methods that skl2onnx calls. Results of the converted model are labels and probabilities."""

    def onnx_parser(self) -> Callable[..., Any]:
        """For skl2onnx: a function that names the results."""
        check_has_no_noise(self, "ONNX", "the converted model would ignore it.")
        from skl2onnx.common.data_types import Int64TensorType

        return lambda scope, inputs: [("label", Int64TensorType()), ("probabilities", inputs[0].type)]

    def onnx_shape_calculator(self) -> Callable[..., Any]:
        """For skl2onnx: a function that sets the shapes of the results."""
        from skl2onnx.common.data_types import Int64TensorType

        def set_shapes(operator) -> None:
            n_rows = operator.inputs[0].get_first_dimension()
            labels, probabilities = operator.outputs
            labels.type = Int64TensorType([n_rows, 1])
            probabilities.type.shape = [n_rows, len(self.means_)]

        return set_shapes

    def onnx_converter(self) -> Callable[..., Any]:
        """For skl2onnx: a function that converts the same model of scikit-learn."""
        from skl2onnx.algebra.onnx_operator import OnnxSubEstimator

        def convert(scope, operator, container) -> None:
            version, names = container.target_opset, operator.outputs
            of_sklearn = OnnxSubEstimator(self.to_sklearn(), operator.inputs[0], op_version=version, output_names=names)
            of_sklearn.add_to(scope, container)

        return convert
