"""What every client does in turn: each method of the contract and health, with what has to come back.

A step is a path, its requests as JSON with the contract's own names, and a check of code and replies.
"""
import base64

SENTENCE = "They never took the money."
CSV = """text;label
"We took nothing; it is a lie.";denial
It is not true, she said.;denial
They never met him.;denial
You stole the money, he said.;accusation
"The mayor lied
to us for years.";accusation
They hid the report.;accusation
"""
# What makes compression worth looking at.
MANY = 2_000


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def is_label(classification):
    return classification["label"] in ("denial", "accusation") and abs(
        sum(score["probability"] for score in classification["scores"]) - 1) < 1e-9


def steps(model):
    """The steps with a model of this name, which is trained, used and deleted."""
    classifier, models = "/dictum.v1.ClassifierService/", "/dictum.v1.ModelService/"
    options = {"model": model}
    version = {"name": model, "version": "2"}
    training = [{"spec": {"model": model}}, {"csv": encoded(CSV[:50])}, {"csv": encoded(CSV[50:])}]
    items = [{"id": str(i), "sentence": SENTENCE if i != 3 else " ", "options": options} for i in range(10)]
    text = {"text": "Mr. Ôno 😀 paid 3.5 euros. We deny it!", "offset_encoding": "OFFSET_ENCODING_UTF32"}

    def ok(check):
        return lambda code, replies: code == 0 and check(*replies)

    return [
        ("/grpc.health.v1.Health/Check", [{}], ok(lambda reply: reply == {"status": "SERVING"})),
        ("/grpc.health.v1.Health/Watch", [{"service": "dictum.v1.ModelService"}],
         ok(lambda first: first == {"status": "SERVING"})),
        (models + "TrainModel", training, ok(
            lambda *replies: replies[-1]["model"]["model_version"] == {"name": model, "version": "1"}
            and all("progress" in reply for reply in replies[:-1]))),
        (models + "TrainModel", training, ok(
            lambda *replies: replies[-1]["model"]["model_version"] == version)),
        (classifier + "Classify", [{"sentence": SENTENCE, "options": options}], ok(
            lambda reply: is_label(reply["classification"]) and reply["model_version"] == version)),
        (classifier + "BatchClassify", [{"sentences": [SENTENCE] * MANY, "options": options}], ok(
            lambda reply: len(reply["classifications"]) == MANY
            and all(map(is_label, reply["classifications"])))),
        (classifier + "StreamClassify", items, ok(
            lambda *replies: [reply["id"] for reply in replies] == [str(i) for i in range(10)]
            and replies[3]["error"]["code"] == 3 and is_label(replies[4]["classification"]))),
        (classifier + "ClassifyText", [text], ok(
            lambda reply: [(s["span"].get("start", 0), s["span"]["end"]) for s in reply["sentences"]]
            == [(0, 25), (26, 37)])),
        (models + "EvaluateModel", [{"spec": options}, {"csv": encoded(CSV)}], ok(
            lambda reply: reply["evaluation"]["example_count"] == "6")),
        (models + "ListModels", [options], ok(
            lambda reply: [found["model_version"] for found in reply["models"]]
            == [version, {"name": model, "version": "1"}])),
        (models + "GetModel", [{"model": model}], ok(
            lambda reply: reply["model"]["model_version"] == version)),
        (models + "VerifyModel", [{"model": model, "version": 1}], ok(
            lambda reply: reply["model_version"] == {"name": model, "version": "1"})),
        (models + "ActivateModel", [{"model": model, "version": 1}], ok(
            lambda reply: reply["previous_version"] == "2")),
        (models + "DeleteModel", [{"model": model, "version": 2}], ok(lambda reply: True)),
        (models + "GetModel", [{"model": model, "version": 2}], lambda code, replies: code == 5),
        (classifier + "Classify", [{"sentence": " "}], lambda code, replies: code == 3),
    ]
