"""The application around the model: words and a hint for a person beside the model's numbers."""

import numpy as np

NAMES = np.array(["malignant", "benign"])
SURE = 0.9


class Service:
    """Called by the model server with each request's outputs, as arrays by name with one entry for each row."""

    def postprocess(self, outputs):
        surest = outputs["probabilities"].max(axis=1)
        return {
            **outputs,
            "diagnosis": NAMES[outputs["label"]].tolist(),
            "needs_review": surest < SURE,
        }
