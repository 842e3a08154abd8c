"""Broken studies, and where each is at fault: line, column, path, code and a piece of the sentence."""

from __future__ import annotations

HEAD = "study: s\nfactors: {net: [mlp, convnet]}\nstages:\n"
MODEL = "  model: {train: supervised, net: $net, data: digits}\n"
ONE = "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits}\n"


def stage(words: str) -> str:
    return f"study: s\nstages:\n  m: {{train: supervised, net: mlp, data: digits, {words}}}\n"


def levels(words: str) -> str:
    return f"study: s\nfactors: {words}\nstages:\n{MODEL}"


#: name -> (text, [(line, column, path, code, fragment of the sentence)])
BROKEN: dict[str, tuple[str, list[tuple[int, int, str, str, str]]]] = {
    # verbs and leaves
    "misspelled verb": (
        "study: s\nstages: {m: {trian: supervised}}\n",
        [(2, 13, "stages.m", "no-verb", "or like, winner_of). Did you mean 'train' for 'trian'?")],
    ),
    "two verbs": (
        ONE + "  c: {measure: size, train: supervised, of: m}\n",
        [(4, 6, "stages.c", "two-verbs", "two verbs, measure and train. Make two stages; the second says 'of: c'.")],
    ),
    "no such instrument": (
        ONE + "  c: {measure: clasification, of: m}\n",
        [(4, 16, "stages.c.measure", "unknown-name", "Did you mean 'classification'? All: crucis list instruments")],
    ),
    "instrument as protocol": (
        "study: s\nstages:\n  m: {train: classification, net: mlp, data: digits}\n",
        [(3, 14, "stages.m.train", "unknown-name",
          "'classification' is an instrument, not a training protocol. Write {measure: classification, of: ...}.")],
    ),
    "protocol as instrument": (
        ONE + "  c: {measure: supervised, of: m}\n",
        [(4, 16, "stages.c.measure", "unknown-name", "'supervised' is a training protocol, not an instrument.")],
    ),
    "an unknown gate": (
        ONE + "gates: {g: {gate: methd}}\n",
        [(4, 19, "gates.g.gate", "unknown-name", "Did you mean 'method'?")],
    ),
    "fit is not there yet": (
        ONE + "analysis:\n  a: {fit: power_law, of: m.accuracy}\n",
        [(5, 7, "analysis.a.fit", "later", "comes with a later version")],
    ),
    "generator is not there yet": (
        levels("{net: {a: {generate: equal_volume, of: mlp}}}"),
        [(2, 31, "factors.net.a.generate", "later", "comes with a later version")],
    ),
    "ablation of a net without components": (
        levels("{net: {a: {generate: factorial, of: mlp}}}"),
        [(2, 46, "factors.net.a.of", "no-components", "mlp declares no COMPONENTS")],
    ),
    # parameters
    "epochs": (
        stage("epochs: 30"),
        [(3, 50, "stages.m.epochs", "unknown-parameter",
          "'supervised' has no parameter 'epochs'. Write 'for: 30 epochs'.")],
    ),
    "a parameter of what a training takes": (
        stage("momentum: 0.9"),
        [(3, 50, "stages.m.momentum", "unknown-parameter",
          "It belongs to the optimiser: optimiser: {sgd: {momentum: 0.9}}.")],
    ),
    "a seed in a stage": (
        stage("seed: 5"),
        [(3, 50, "stages.m.seed", "unknown-parameter", "seeds: [42, 123] at the top of the study.")],
    ),
    "augmentations as a mapping": (
        stage("augment: {crop: {padding: 2}, flip: {}}"),
        [(3, 59, "stages.m.augment", "wrong-type", "Write [{crop: {padding: 2}}, {flip: {}}].")],
    ),
    "capitals": (
        "study: s\nstages:\n  m: {train: supervised, net: mlp, data: CIFAR10}\n",
        [(3, 42, "stages.m.data", "unknown-name", "Did you mean 'cifar10'?")],
    ),
    "length without unit": (
        stage("for: 30"),
        [(3, 55, "stages.m.for", "not-a-length",
          "30 is a number; a length has a unit. Write '30 epochs' or '30 steps'.")],
    ),
    "name of a factor": (
        HEAD + "  m: {train: supervised, net: net, data: digits}\n",
        [(4, 31, "stages.m.net", "unknown-name", "no architecture 'net'. There is a factor of that name; write $net.")],
    ),
    "no such factor": (
        HEAD + "  m: {train: supervised, net: $nets, data: digits}\n",
        [(4, 31, "stages.m.net", "unknown-name", "nothing is called 'nets'. Did you mean $net (factor, 2 levels)?")],
    ),
    "list for one": (
        ONE + "  b: {perturb: second_task, of: m, strategy: [naive, ewc]}\n",
        [(4, 46, "stages.b.strategy", "list-for-one",
          "a list, where one strategy is expected. To vary it: factors: {strategy: [naive, ewc]}, and here "
          "$strategy.")],
    ),
    "list of nets": (
        "study: s\nstages:\n  m: {train: supervised, net: [mlp, convnet], data: digits}\n",
        [(3, 31, "stages.m.net", "list-for-one", "To vary it: factors: {net: [mlp, convnet]}, and here $net.")],
    ),
    "unknown parameter of a leaf": (
        levels("{net: [{mlp: {widthss: [64]}}]}"),
        [(2, 24, "factors.net[0].mlp.widthss", "unknown-parameter", "Did you mean 'widths' (list of int, default [")],
    ),
    "one for a list": (
        levels("{net: [{mlp: {widths: 64}}]}"),
        [(2, 32, "factors.net[0].mlp.widths", "wrong-type", "expected a list of int, got 64. Write [64].")],
    ),
    "quoted number": (
        stage("lr: '0.1'"),
        [(3, 54, "stages.m.lr", "wrong-type", "expected a number, got the text '0.1'. Remove the quotes.")],
    ),
    "out of range": (
        stage("label_smoothing: 10"),
        [(3, 67, "stages.m.label_smoothing", "out-of-range", "10 is outside [0, 1), the range of label_smoothing.")],
    ),
    "no such choice": (
        stage("precision: bf61"),
        [(3, 61, "stages.m.precision", "not-a-choice", "Did you mean 'bf16'? Choices: fp32, tf32, bf16, fp16.")],
    ),
    "learning_rate": (
        stage("learning_rate: 0.1"),
        [(3, 50, "stages.m.learning_rate", "unknown-parameter", "Did you mean 'lr' (number, default 0.1)?")],
    ),
    "distribution": (
        stage("lr: {log_uniform: [1e-4, 1]}"),
        [(3, 54, "stages.m.lr", "distribution", "{log_uniform: ...} stands for a search")],
    ),
    "unknown optimiser": (
        stage("optimiser: adma"),
        [(3, 61, "stages.m.optimiser", "unknown-name", "no optimiser 'adma'. Did you mean 'adam'?")],
    ),
    "unknown recipe": (
        stage("recipe: sgd-cosin"),
        [(3, 58, "stages.m.recipe", "not-a-choice", "Did you mean 'sgd-cosine'?")],
    ),
    "bad view": (
        stage("view: {clases: first-half, share: 150%}"),
        [(3, 57, "stages.m.view.clases", "unknown-parameter", "Did you mean 'classes'?"),
         (3, 84, "stages.m.view.share", "wrong-type", "expected a share above 0 and up to 1")],
    ),
    "split on a training": (
        stage("split: validation"),
        [(3, 50, "stages.m.split", "no-meaning", "a training always uses the training split")],
    ),
    "watch": (
        stage("watch: {los > 3: stop}"),
        [(3, 58, "stages.m.watch.los > 3", "bad-rule", "no metric 'los'. Did you mean 'loss'?")],
    ),
    "unknown action of a rule": (
        stage("watch: {loss > 3: stopp}"),
        [(3, 68, "stages.m.watch.loss > 3", "bad-rule", "no action 'stopp'. Did you mean 'stop'?")],
    ),
    "a rule of the machine that would change the result": (
        stage("watch: {gpu_memory > 95%: stop}"),
        [(3, 58, "stages.m.watch.gpu_memory > 95%", "bad-rule", "gpu_memory depends on the machine")],
    ),
    "a rule over what a training has not, a share that is none": (
        stage("watch: {knn_accuracy > 0.5: stop, accuracy > 75: log}"),
        [(3, 58, "stages.m.watch.knn_accuracy > 0.5", "bad-rule", "trainings by 'supervised' have no knn_accuracy"),
         (3, 84, "stages.m.watch.accuracy > 75", "bad-rule", "accuracy is a share, from 0 to 1, and 75 is none")],
    ),
    "every faulty rule": (
        stage("watch: {los > 3: [stopp, {lower_lr: 2}], loss > 0.5: log, lr > 1 2: stop, loss > 1: {mail: me}}"),
        [(3, 58, "stages.m.watch.los > 3", "bad-rule", "no metric 'los'"),
         (3, 67, "stages.m.watch.los > 3", "bad-rule", "no action 'stopp'"),
         (3, 67, "stages.m.watch.los > 3", "bad-rule", "lower_lr takes a factor between 0 and 1"),
         (3, 108, "stages.m.watch.lr > 1 2", "bad-rule", "'2' follows where the condition ends"),
         (3, 134, "stages.m.watch.loss > 1", "bad-rule", "mail takes one address")],
    ),
    "parameters that contradict each other": (
        stage("patience: 3, accumulate: 3, batch: 64, schedule: one_cycle, warmup: 10%, "
              "optimiser: {sgd: {dampening: 0.1}}, ema_every: 2, warmup_shape: constant"),
        [(3, 6, "stages.m.ema", "contradiction", "no running average"),
         (3, 50, "stages.m.patience", "contradiction", "write select: accuracy or loss"),
         (3, 63, "stages.m.accumulate", "contradiction", "3 chunks do not divide a batch of 64 examples"),
         (3, 110, "stages.m.warmup", "contradiction", "one_cycle has its own rise"),
         (3, 123, "stages.m.optimiser", "contradiction", "sgd dampens plain momentum only"),
         (3, 173, "stages.m.warmup_shape", "contradiction", "write warmup_from: 0.1")],
    ),
    "an interval shorter than any step, and a faulty rule beside it": (
        stage("schedule: {step: {every: 0 steps}}, on_not_finite: go, watch: {los > 3: stop}"),
        [(3, 101, "stages.m.on_not_finite", "not-a-choice", "Choices: stop, skip, lower_lr"),
         (3, 113, "stages.m.watch.los > 3", "bad-rule", "no metric 'los'")],
    ),
    "an interval shorter than any step": (
        stage("schedule: {step: {every: 0 steps}}"),
        [(3, 50, "stages.m.schedule", "contradiction", "'every' must be at least one step")],
    ),
    "a game that does not exist": (
        "study: s\nstages:\n  m: {train: q_learning, net: dqn, data: games, games: [catch, doge]}\n",
        [(3, 64, "stages.m.games[1]", "contradiction", "and atari/NAME for Atari. Did you mean 'dodge'?")],
    ),
    "a game that does not exist, of another level": (
        "study: s\nfactors: {order: {a: {games: [catch]}, b: {games: [catch, doge]}}}\nstages:\n"
        "  m: {train: q_learning, net: dqn, data: games, games: $order.games}\n",
        [(4, 56, "stages.m.games[1]", "contradiction", "Did you mean 'dodge'?")],
    ),
    "games that are played for no step": (
        "study: s\nstages:\n  m: {train: q_learning, net: dqn, data: games, games: [catch], for: 0 steps}\n",
        [(3, 65, "stages.m.for", "contradiction", "at least 1 optimiser step")],
    ),
    "a checkpoint of an agent, which keeps none": (
        "study: s\nstages:\n  m: {train: q_learning, net: dqn, data: games, games: [catch]}\n"
        "  k: {measure: classification, of: m@at=50%}\n  begin: {measure: classification, of: m@at=0%}\n",
        [(4, 36, "stages.k.of", "bad-checkpoint", "'m' keeps its last weights only")],
    ),
    "games counted in epochs": (
        "study: s\nstages:\n  m: {train: q_learning, net: dqn, data: games, games: [catch], for: 3 epochs}\n",
        [(3, 65, "stages.m.for", "contradiction", "games have no epochs")],
    ),
    "a view of a data set that is played": (
        "study: s\nstages:\n  m: {train: q_learning, net: dqn, data: games, games: [catch], view: {n: 50}}\n",
        [(3, 65, "stages.m.view", "contradiction", "a view would be passed over")],
    ),
    "games seen through another data set": (
        "study: s\nstages:\n  m: {train: q_learning, net: dqn, data: digits, games: [catch]}\n",
        [(3, 50, "stages.m.games", "contradiction", "write data: games")],
    ),
    "a plateau without a maximum": (
        stage("for: plateau, schedule: constant"),
        [(3, 50, "stages.m.for", "contradiction", "write at_most: 200 epochs beside it")],
    ),
    "a plateau as its own maximum": (
        stage("for: plateau, at_most: plateau, schedule: constant"),
        [(3, 64, "stages.m.at_most", "contradiction", "a maximum is a number of epochs or steps")],
    ),
    "a plateau of a protocol that has none": (
        "study: s\nstages:\n  m: {train: simclr, net: mlp, data: digits, for: plateau}\n",
        [(3, 46, "stages.m.for", "contradiction", "'simclr' cannot train to a plateau")],
    ),
    "a length of unknown unit": (
        stage("for: 10 epoks"),
        [(3, 55, "stages.m.for", "wrong-type", "got the text '10 epoks'. Write '10 epochs' or '10 steps'.")],
    ),
    "a rule that is none": (
        stage("watch: loss > 3"),
        [(3, 57, "stages.m.watch", "wrong-type", "expected rules such as {grad_norm > 10: log}")],
    ),
    "training without a net": (
        "study: s\nstages:\n  m: {train: supervised, data: digits}\n",
        [(3, 6, "stages.m", "no-subject", "Write net: NET, or of: STAGE")],
    ),
    "training without data": (
        "study: s\nstages:\n  m: {train: supervised, net: mlp}\n",
        [(3, 6, "stages.m", "no-data", "Write data: DATA SET.")],
    ),
    "views of what another stage was given": (
        "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits}\n"
        "  t: {train: supervised, of: m, view: {n: 50}}\n  k: {perturb: second_task, of: m, view: {n: 50}}\n",
        [(4, 33, "stages.t.view", "no-data", "Write data: DATA SET beside it."),
         (5, 36, "stages.k.view", "no-data", "Write data: DATA SET beside it.")],
    ),
    "perturbation of a new network": (
        "study: s\nstages:\n  m: {perturb: second_task, net: mlp, data: digits}\n",
        [(3, 29, "stages.m.net", "two-subjects", "a perturbation works on a trained model")],
    ),
    # factors
    "one value": (
        levels("{net: mlp}"),
        [(2, 16, "factors.net", "one-value",
          "'mlp' is one value. A factor is a list or a mapping of levels; a constant")],
    ),
    "unused factor": (
        "study: s\nfactors:\n  width: [1, 2]\n" + ONE.partition("\n")[2],
        [(3, 3, "factors.width", "unused", "no stage uses $width, so it would vary nothing. Use it or remove it.")],
    ),
    "equal labels": (
        levels("{net: [{mlp: {widths: [8]}}, {mlp: {widths: [16]}}]}"),
        [(2, 39, "factors.net[1]", "twice",
          "second level with the label 'mlp'. Give labels: net: {a: {mlp: {widths: [8]}}, b: {mlp: {widths: [16]}}}.")],
    ),
    "leaf read as label": (
        levels("{net: {mlp: {widths: [64]}}}"),
        [(2, 17, "factors.net.mlp", "misread-level",
          "read as a level labelled 'mlp' whose leaf is 'widths', which is no architecture. For one level with "
          "parameters write a list: [{mlp: {widths: [64]}}].")],
    ),
    "missing field": (
        "study: s\nfactors:\n  arch:\n    a: {net: mlp, for: 3 epochs}\n    b: {net: mlp}\n    c: {net: convnet}\n"
        "stages:\n  m: {train: supervised, net: $arch.net, data: digits, for: $arch.for}\n",
        [(8, 61, "stages.m.for", "no-field",
          "$arch.for is missing in the levels b and c, which this stage covers. Add it, or give the stage 'only'.")],
    ),
    "field of no level": (
        "study: s\nfactors:\n  arch: {a: {net: mlp, for: 3 epochs}}\n"
        "stages:\n  m: {train: supervised, net: $arch.net, data: digits, for: $arch.forr}\n",
        [(5, 61, "stages.m.for", "no-field", "no level of 'arch' has a field 'forr'. Did you mean 'for'?")],
    ),
    "level with fields as a value": (
        "study: s\nfactors:\n  arch: {a: {net: mlp, for: 3 epochs}}\n"
        "stages:\n  m: {train: supervised, net: $arch, data: digits}\n",
        [(5, 31, "stages.m.net", "has-fields", "the levels of 'arch' have fields (net, for); write $arch.net.")],
    ),
    "many seeds": (
        HEAD + MODEL + "seeds: 42\n",
        [(5, 8, "seeds", "many-seeds",
          "42 seeds, 42 replicates of 2 cells, 84 training steps. If one seed with the value 42 was meant: "
          "seeds: [42]. "
          "If 42 were meant: crucis run --yes.")],
    ),
    "seed as a factor": (
        "study: s\nfactors: {seed: [1, 2]}\n" + ONE.partition("\n")[2],
        [(2, 11, "factors.seed", "seed-factor", "seeds are replicates, not a factor. Write seeds: [1, 2] at the top.")],
    ),
    "lists of unequal length": (
        "study: s\nfactors:\n  arch: {a: {generate: zip, of: convnet, width: [1, 2], depth: [1]}}\n"
        "stages:\n  m: {train: supervised, net: $arch.net, data: digits}\n",
        [(3, 13, "factors.arch.a", "bad-generator", "the lists of 'zip' are not equally long: width 2, depth 1.")],
    ),
    "filter over no level": (
        "study: s\nfactors: {net: [mlp, convnet]}\nonly: {net: vit}\nstages:\n" + MODEL,
        [(3, 13, "only.net", "no-cell", "no cell has net=vit, since net is mlp or convnet.")],
    ),
    "filter over no factor": (
        HEAD + MODEL + "except: [{nett: mlp}]\n",
        [(5, 11, "except[0].nett", "unknown-name", "no factor 'nett'. Did you mean 'net'?")],
    ),
    "filters that contradict": (
        HEAD + MODEL + "only: {net: mlp}\nexcept: {net: mlp}\n",
        [(5, 7, "only", "no-cell", "leaves no cell")],
    ),
    # references between stages
    "no such stage": (
        HEAD + MODEL + "  c: {measure: size, of: modle}\n",
        [(5, 26, "stages.c.of", "unknown-name", "no stage 'modle'. Did you mean 'model'?")],
    ),
    "circle": (
        "study: s\nstages:\n  a: {measure: size, of: b}\n  b: {measure: size, of: a}\n",
        [(3, 3, "stages", "circle", "a circle: a -> b -> a. A stage cannot work on its own result.")],
    ),
    "checkpoint of a measurement": (
        HEAD + MODEL + "  t: {measure: size, of: model}\n  x: {measure: size, of: t@at=50%}\n",
        [(6, 26, "stages.x.of", "no-checkpoints",
          "'t' is a measurement and has no checkpoints. Only train and perturb leave models; did you mean of: "
          "model@at=50%?")],
    ),
    "perturbation without a model": (
        HEAD + MODEL + "  q: {perturb: fgsm, of: model}\n  x: {measure: size, of: q}\n",
        [(6, 26, "stages.x.of", "no-model", "'q' trains nothing, so it leaves numbers and no model. Write of: model.")],
    ),
    "best without select": (
        HEAD + MODEL + "  x: {measure: size, of: model@at=best}\n",
        [(5, 26, "stages.x.of", "no-best",
          "'model' has no best checkpoint, because it names no 'select'. Add select: accuracy to model, or use "
          "@at=last.")],
    ),
    "column as a subject": (
        HEAD + MODEL + "  x: {measure: size, of: model.accuracy}\n",
        [(5, 26, "stages.x.of", "bad-reference", "Write of: model.")],
    ),
    "own seeds beside seeded input": (
        HEAD + MODEL + "  c: {measure: size, of: model, seeds: 5}\n",
        [(5, 40, "stages.c.seeds", "seeded-input",
          "its input 'model' has seeds already. Set seeds there, or pool: seed here.")],
    ),
    "like of like": (
        ONE + "  a: {like: m, lr: 0.1}\n  b: {like: a}\n",
        [(5, 13, "stages.b.like", "chain", "'a' is itself 'like' another. Name that one: chains are refused.")],
    ),
    # the text
    "second colon": (
        "study: s\nquestion: PERSIST: does it?\n",
        [(2, 18, "question", "second-colon", 'Quote the text: question: "PERSIST: does it?"')],
    ),
    "mapping in a value": (
        "study: s\nstages:\n  m: {train: supervised, net: ./mine.py: {rank: 8}, data: digits}\n",
        [(3, 31, "", "inner-mapping", "'./mine.py: ' starts a mapping inside a value. Write {./mine.py: {rank: 8}}.")],
    ),
    "alias": (
        HEAD + MODEL + "  c: {measure: size, of: *model}\n",
        [(5, 26, "", "alias",
          "'*model' is a YAML alias; aliases are not used here. For the stage write model, for a factor")],
    ),
    "merge key": (
        "study: s\nstages:\n  m:\n    <<: *defaults\n    train: supervised\n    net: mlp\n    data: digits\n",
        [(4, 5, "", "merge-key", "merge keys are not used here. Write 'like: STAGE'")],
    ),
    "no value": (
        "study: s\nstages:\n  m: {train: supervised, net: mlp, data: }\n",
        [(3, 36, "stages.m.data", "no-value", "no value. Write one, or leave the key out for the default.")],
    ),
    "key twice": (
        HEAD + MODEL + MODEL,
        [(5, 3, "stages.model", "twice", "written twice, first at line 4. Rename one.")],
    ),
    "tab": (
        "study: s\nstages:\n\tm: 1\n",
        [(3, 1, "", "tab", "a tab. YAML indents with spaces; crucis fmt s.yaml mends it.")],
    ),
    "octal": (
        stage("batch: 010"),
        [(3, 57, "stages.m.batch", "leading-zero", "Write 10")],
    ),
    "unknown section": (
        ONE + "analyses: {}\n",
        [(4, 1, "analyses", "unknown-key", "Did you mean 'analysis'?")],
    ),
    "budget without unit": (
        ONE + "budget: 8\n",
        [(4, 9, "budget", "not-a-time", "a time has a unit")],
    ),
    "name used twice": (
        HEAD + "  net: {train: supervised, net: $net, data: digits}\n",
        [(4, 3, "stages.net", "twice", "'net' is also in 'factors'")],
    ),
    # protocols
    "entry exists": (
        "study: s\nfrom: ./base.yaml\nstages:\n  task_a: {train: supervised, net: mlp, data: digits, for: 3 epochs}\n",
        [(4, 3, "stages.task_a", "exists",
          "exists in './base.yaml'. To change a part: set: {stages.task_a.for: ...}; to replace it: drop: "
          "[stages.task_a] and")],
    ),
    "no path": (
        "study: s\nfrom: ./base.yaml\nset: {stages.taska.for: 3 epochs}\n",
        [(3, 7, "set", "no-path", "no path 'stages.taska.for' in './base.yaml'. Did you mean 'stages.task_a.for'?")],
    ),
    "no such protocol": (
        "study: s\nfrom: perist\n",
        [(2, 7, "from", "unknown-name", "no protocol 'perist'. Did you mean 'persist'?")],
    ),
    "set without from": (
        ONE + "set: {stages.m.lr: 0.1}\n",
        [(4, 1, "set", "no-base", "there is no 'from'")],
    ),
    "path of an unused preset": (
        ONE + "presets: {small: {let.grid: 3}}\n",
        [(4, 19, "presets.small", "no-path", "no path 'let.grid'")],
    ),
    # users' files
    "no such file": (
        levels("{net: [mlp, ./mine.py]}"),
        [(2, 22, "factors.net[1]", "no-file",
          "no file ./mine.py beside s.yaml. Files here: baseline.py, my_data.py, my_net.py.")],
    ),
    "file without entry": (
        levels("{net: [mlp, ./baseline.py]}"),
        [(2, 22, "factors.net[1]", "bad-file",
          "has no function 'build', which a net file needs: def build(input, classes, *, ...). Found: Net, main.")],
    ),
    "own leaf's parameter": (
        levels("{net: [{./my_net.py: {rnak: 3}}]}"),
        [(2, 32, "factors.net[0]../my_net.py.rnak", "unknown-parameter", "Did you mean 'rank' (int, default 8)?")],
    ),
    "net and data of different kinds": (
        "study: s\nfactors: {net: [mlp, convnet]}\nstages:\n  m: {train: supervised, net: $net, data: ./my_data.py}\n",
        [(4, 3, "stages.m", "kinds",
          "cell net=convnet: 'convnet' takes images, './my_data.py' gives vectors. Exclude it (except: [{net: "
          "convnet}])")],
    ),
    # analyses and claims, as far as their text goes
    "expression that is none": (
        ONE + "derive: {x: m.accuracy +}\n",
        [(4, 13, "derive.x", "bad-expression", "column ")],
    ),
    "torn function": (
        ONE + "claims:\n  c: {holds_if: [max(a, b) < 1]}\n",
        [(5, 17, "claims.c.holds_if", "torn",
          "a list of two texts, 'max(a' and 'b) < 1': inside [...] a comma ends a word. "
          "Functions take one argument; write a < 1 and b < 1.")],
    ),
    "expression as a column": (
        ONE + "analysis:\n  a: {describe: summary, of: m.accuracy - m.loss}\n",
        [(5, 30, "analysis.a.of", "bad-reference", "is an expression; a reference is one word")],
    ),
    "unknown correction": (
        ONE + "analysis:\n  a: {describe: summary, of: m.accuracy, correction: bonferoni}\n",
        [(5, 54, "analysis.a.correction", "not-a-choice", "Did you mean 'bonferroni'?")],
    ),
    "unknown key of an analysis": (
        ONE + "analysis:\n  a: {describe: summary, of: m.accuracy, eech: m}\n",
        [(5, 42, "analysis.a.eech", "unknown-parameter", "Did you mean 'each'?")],
    ),
    "claim without criterion": (
        ONE + "claims:\n  c: {says: it works}\n",
        [(5, 6, "claims.c", "no-criterion", "Write holds_if: EXPRESSION.")],
    ),
}  # fmt: skip
