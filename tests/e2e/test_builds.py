"""ModelBuild and AppBuild with real pods: what goes right, and each way in which training code goes wrong."""

from __future__ import annotations

from tests.e2e.support import TINY, Chain, code, model_build, poll, ready_message

BAD = {
    "raises": "def main(run):\n    raise ValueError('the column target is missing')\n",
    "hangs": "import time\ndef main(run):\n    print('epoch 1', flush=True)\n    time.sleep(600)\n",
    "hungry": "def main(run):\n    kept = []\n    while True:\n        kept.append(bytearray(16 << 20))\n",
    "empty": "def main(run):\n    run.log_metric('accuracy', 1.0)\n",
    "pickles": (
        "import pickle\n"
        "def main(run):\n"
        "    with open('/tmp/model.onnx', 'wb') as f:\n"
        "        pickle.dump({'a': 1}, f)\n"
        "    run.save_model('/tmp/model.onnx')\n"
    ),
    "typo": "import nosuchmodule\ndef main(run):\n    pass\n",
}


def test_every_way_to_fail_has_its_reason_and_keeps_its_log(chain: Chain) -> None:
    for name, text in BAD.items():
        chain.apply(code(name, train=text))
        spec: dict[str, object] = {"deadlineSeconds": 10} if name == "hangs" else {}
        trainer: dict[str, object] = {"entrypoint": "train:main"}
        if name == "hungry":
            trainer["resources"] = {"limits": {"memory": "200Mi"}}
        chain.apply(model_build(name, name, trainer=trainer, **spec))
    expected = {
        "raises": ("TrainingFailed", "the column target is missing"),
        "hangs": ("DeadlineExceeded", "10 s"),
        "hungry": ("OutOfMemory", "memory"),
        "empty": ("NoModel", "save_model"),
        "pickles": ("FormatRefused", "pickle"),
        "typo": ("EntrypointInvalid", "nosuchmodule"),
    }
    for name, (reason, words) in expected.items():
        build = chain.until_ready("modelbuild", name, reason)
        assert words in ready_message(build), name
        assert build["status"]["build"]["outcome"] == "Failed"
        assert "version" not in build["status"]


def test_a_build_is_found_again_and_an_approval_promotes(chain: Chain) -> None:
    chain.apply(code("tiny", train=TINY))
    manual = {"alias": "champion", "approval": "Manual"}
    chain.apply(model_build("first", "tiny", model="tiny", promotion=manual))
    build = chain.until_ready("modelbuild", "first", "AwaitingApproval")
    assert build["status"]["version"]["number"] == 1
    assert build["status"]["version"]["metrics"]["accuracy"]
    chain.apply(model_build("second", "tiny", model="tiny"))
    again = chain.until_ready("modelbuild", "second", "Promoted")
    assert again["status"]["version"]["number"] == 1, "the same build identity is the same version"
    assert again["status"]["build"]["reason"] == "CacheHit"
    assert len(chain.names("jobs")) == 1
    chain.cluster.kubectl(
        "annotate", "modelbuild", "first", "-n", chain.namespace, 'slipway.dev/approve={"version":1,"by":"ann"}'
    )
    chain.until_ready("modelbuild", "first", "Promoted")


def test_a_deleted_build_leaves_nothing(chain: Chain) -> None:
    chain.apply(code("slow", train=BAD["hangs"]))
    chain.apply(model_build("slow", "slow"))
    poll("the pod runs", lambda: chain.names("pods", "slipway.dev/name=slow"))
    chain.delete("modelbuild", "slow")
    poll("job and pod are gone", lambda: not chain.names("jobs") and not chain.names("pods"))


def test_any_container_trains_by_the_file_contract(chain: Chain) -> None:
    """The command writes files, as a container that knows nothing of Slipway would."""
    script = (
        "import json, os, shutil, pathlib\n"
        "params = json.load(open(os.environ['SLIPWAY_PARAMS_FILE']))\n"
        "out = pathlib.Path(os.environ['SLIPWAY_OUTPUT_DIR'])\n"
        "(out / 'model').mkdir(parents=True, exist_ok=True)\n"
        "from sklearn.linear_model import LinearRegression\n"
        "from skl2onnx import to_onnx\n"
        "import numpy as np\n"
        "X = np.arange(10, dtype='float32').reshape(-1, 1)\n"
        "model = LinearRegression().fit(X, X[:, 0] * params['slope'])\n"
        "(out / 'model' / 'model.onnx').write_bytes(to_onnx(model, X[:1]).SerializeToString())\n"
        "(out / 'metrics.json').write_text(json.dumps({'r2': 1.0}))\n"
    )
    chain.apply(code("plain", main=script))
    training = chain.cluster.kubectl(
        "get", "deployment", "-n", "slipway-system", "-o",
        "jsonpath={.items[0].spec.template.spec.containers[0].env[?(@.name=='SLIPWAY_TRAINING_IMAGE')].value}",
    )  # fmt: skip
    trainer = {"image": training, "command": ["python", "/slipway/source/main.py"], "params": {"slope": 2}}
    chain.apply(model_build("plain", "plain", trainer=trainer))
    build = chain.until_ready("modelbuild", "plain", "Promoted")
    assert build["status"]["version"]["metrics"]["r2"] == "1"
