"""KServe's Python server with a scikit-learn model, as its own sklearnserver does it: load with joblib, predict()."""

import argparse

import joblib
from kserve import Model, ModelServer, model_server
from kserve.utils.utils import get_predict_input, get_predict_response


class Sklearn(Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.path = path
        self.load()

    def load(self):
        self._model = joblib.load(self.path)
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None):
        return get_predict_response(payload, self._model.predict(get_predict_input(payload)), self.name)


parser = argparse.ArgumentParser(parents=[model_server.parser], conflict_handler="resolve")
parser.add_argument("--model_path", required=True)
args, _ = parser.parse_known_args()

if __name__ == "__main__":
    ModelServer().start([Sklearn(args.model_name, args.model_path)])
