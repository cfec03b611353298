"""Lab 5 against what the lab printed: seed for seed, to 12 digits or more of the 16 (rounding adds up in other orders)."""

import numpy as np
import pytest

from .helpers import assert_printed, load_lab, run_lab

lab = load_lab(5)

#: errors after each step, as far as the lab's pages show them; of the half adder, those of the carry
PRINTED = {
    "AND": """
        3.87411167721693e-05 3.874076724383232e-05 3.874041772178629e-05 3.874006820603046e-05 3.8739718696564754e-05
        3.873936919338842e-05 3.8739019696503756e-05 3.873867020590821e-05 3.873832072160225e-05 3.8737971243585766e-05
    """,
    "OR": """
        0.00013720867563390447 0.00013720048078455057 0.00013719228690891878 0.0001371840940068361 0.0001371759020781278
        0.00013716771112262416 0.00013715952114014878 0.00013715133213052953 0.0001371431440935953 0.00013713495702917218
        0.00013712677093708742 0.00013711858581716803 0.00013711040166924124 0.00013710221849313692 0.00013709403628867718
        0.00013708585505569344 0.00013707767479401316 0.00013706949550346101 0.00013706131718386777 0.00013705313983505843
        0.00013704496345686289 0.0001370367880491051 0.000137028613611617 0.00013702044014422528 0.0001370122676467565
        0.00013700409611903835 0.00013699592556090014 0.00013698775597216858 0.00013697958735267316 0.00013697141970223981
        0.00013696325302069718 0.00013695508730787314 0.0001369469225635962 0.00013693875878769606 0.00013693059597999873
        0.00013692243414033386 0.00013691427326852505 0.00013690611336440815 0.00013689795442780757 0.00013688979645855228
        0.00013688163945646845 0.00013687348342138862 0.00013686532835313834
    """,
    "XOR": """
        0.0002764860386006949 0.00027645525561112764 0.0002764244793706056 0.00027639370987692454 0.0002763629471278825
        0.0002763321911212824 0.0002763014418549214 0.0002762706993265958 0.00027623996353410874 0.00027620923447527017
        0.00027617851214786944 0.0002761477965497223 0.00027611708767862937 0.00027608638553239614 0.00027605569010883475
        0.0002760250014057475 0.00027599431942094445 0.00027596364415223844 0.00027593297559743774 0.0002759023137543523
        0.00027587165862080033 0.0002758410101945949 0.00027581036847354343 0.0002757797334554724 0.00027574910513818813
        0.0002757184835195156 0.0002756878685972698 0.0002756572603692697 0.0002756266588333395 0.0002755960639872932
        0.0002755654758289598 0.000275534894356161 0.000275504319566718 0.0002754737514584592 0.00027544319002920705
        0.0002754126352767977 0.00027538208719904477 0.00027535154579378925 0.0002753210110588557 0.0002752904829920736
        0.000275259961591273 0.0002752294468542965 0.0002751989387789653 0.0002751684373631198
    """,
    "half adder": """
        0.9059881002277557 0.6400725478167372 0.4611946204834877 0.4083954412264893 0.39421299189972214
        0.38923099170606185 0.3870644695489326 0.38594169897937025 0.38525721178758165 0.38477363262070574
        0.38438893354184445 0.3840563677358342 0.38375349286562055 0.38346912629436025 0.3831975015750472
        0.3829355298052534 0.38268147302776406 0.3824342859586239 0.3821932835506673 0.3819579709137474
        0.38172795542655813 0.38150290093456846 0.38128250367365507 0.38106647947314265 0.38085455683817093
        0.38064647310519617 0.38044197220713516 0.3802408032830748 0.380042719731979 0.37984747850047096
        0.3796548394946342 0.3794645650581245 0.37927641948635615 0.3790901685609399 0.3789055790961253
        0.3787224184929907 0.3785404542992264 0.37835945377348285 0.3781791834538589 0.3779994087304471
        0.3778198934220501 0.37764039935731564 0.3774606859606281 0.3772805098431759 0.37709962439968314
        0.3769177794113636 0.3767347206557235 0.3765501895239095 0.37636392264636737 0.37617565152764443
        0.37598510219124065
    """,
    "half adder, from step 536": """
        0.0036574494599236054 0.003645022879271977 0.003632702583088338 0.0036204870135713146 0.0036083746444176817
        0.003596363980049359 0.003584453554861735 0.0035726419324925056 0.0035609277051105274 0.00354930949272409
        0.003537785942508124 0.0035263557281497325 0.003515017549211417 0.0035037701305117817 0.003492612221522866
        0.003481542595783896 0.0034705600503307918 0.0034596634051411133 0.0034488515025939493 0.0034381232069442347
        0.0034274774038112387 0.0034169129996807395 0.0034064289214203666 0.003396024115808002 0.003385697549072637
        0.0033754482064473133 0.003365275091734123 0.00335517722688038 0.00334515365156623 0.0033352034228028935
        0.0033253256145415124 0.003315519317292204 0.003305783637753021 0.003296117698448618 0.0032865206373781635
        0.00327699160767248 0.0032675297772599638 0.0032581343285410765 0.0032488044580712347 0.003239539376251782
        0.0032303383070288122 0.0032212004875997228 0.0032121251681271217 0.003203111611460068 0.003194159092862224
        0.0031852668997469453
    """,
}
#: first weights, as printed (those of XOR's first draw were not)
WEIGHTS = {
    "AND": "0.3745401188473625 0.9507143064099162 0.7319939418114051",
    "OR": "0.59865848 0.15601864 0.15599452",
    "XOR": "0.18340451 0.30424224 0.52475643 0.43194502 0.13949386 0.29214465 0.29122914 0.61185289 0.36636184",
    "half adder": "0.45606998 0.78517596 0.19967378 0.51423444 0.06505159 0.94888554 "
    "0.59241457 0.04645041 0.60754485 0.17052412 0.96563203 0.80839735",
}
#: gate -> outputs for as many inputs as were printed, error, gradients in the order of the weights
START = {
    "AND": ("0.6752426767850529", "0.8723062541831995", "0.12895768951083897 0.10006797336465945 0.3884862448293551"),
    "OR": ("0.53891974 0.57737657 0.68019172 0.71313758", "0.326806213602541", "-0.12825232 -0.16180968 -0.09746427"),
    "XOR, first draw": (
        "0.67533599",
        "0.5823104395794695",
        "0.00019447 0.00636977 0.00024919 0.0051897 0.00064652 0.0300295 0.13027526 0.11807031 0.17297179",
    ),
    "half adder": (
        "0.84676414 0.72218121",
        "1.1080985562421628",  # the carry's alone
        "0.01302675 0.00803441 0.01422448 0.00966333 0.04559418 0.03473642 "
        "0.16985128 0.10685975 0.23733058 0.1444018 0.30151753 0.18022159",
    ),
}

#: gate -> z and output of each layer from the last one down, for as many inputs as were printed
PASSES = {
    "AND": "0.7319939418114051 0.6752426767850529",
    "OR": "0.15599452 0.31201316 0.754653 0.91067164 0.53891974 0.57737657 0.68019172 0.71313758",
    "XOR, first draw": "0.7324195 0.67533599 0.83244264 0.21233911 0.69687117 0.55288622",
    "half adder": "1.70944391 0.95530701 0.84676414 0.72218121 0.06505159 0.94888554 0.51625717 0.720891",
}


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def targets_of(name):
    return lab.TARGETS[name.split(",")[0]]


def assert_error_printed(values, text):
    np.testing.assert_allclose(values, np.array(text.split(), dtype=float), rtol=1e-12)


@pytest.mark.parametrize("name", WEIGHTS)
def test_first_weights(name):
    assert_printed(flat(lab.first_weights()[name]), WEIGHTS[name], digits=8)


@pytest.mark.parametrize("name", START)
def test_outputs_error_and_gradients_before_the_first_step(name):
    outputs, error, gradients = START[name]
    model, targets = lab.network(lab.first_weights()[name]), targets_of(name)
    assert_printed(model.predict(lab.INPUTS).ravel()[: len(outputs.split())], outputs, digits=8)
    if name == "half adder":
        assert_error_printed([0.5 * np.sum((model.predict(lab.INPUTS) - targets)[:, 0] ** 2)], error)
        assert lab.error(model, targets) == pytest.approx(1.7099244643800333, rel=1e-12)
    else:
        assert_error_printed([lab.error(model, targets)], error)
    assert_printed(flat(lab.gradients(model, targets)), gradients, digits=8)


@pytest.mark.parametrize("name", ["AND", "OR", "XOR"])
def test_printed_errors(name):
    model, outputs = lab.printed_steps(name, len(PRINTED[name].split()))
    assert_error_printed(lab.errors(outputs, lab.TARGETS[name]), PRINTED[name])
    if name == "AND":
        printed = "1.3066666841691875e-07 0.004772673077705222 0.004772673077705222 0.9943502986046346"
        assert_error_printed(model.predict(lab.INPUTS).ravel(), printed)


def test_printed_errors_of_the_half_adder_are_those_of_the_carry():
    first = len(PRINTED["half adder"].split())
    later = len(PRINTED["half adder, from step 536"].split())
    model, outputs = lab.printed_steps("half adder", 535 + later)
    targets = lab.TARGETS["half adder"]
    carry = lab.errors(outputs[..., :1], targets[:, :1])
    assert_error_printed(carry[:first], PRINTED["half adder"])
    assert_error_printed(carry[535:], PRINTED["half adder, from step 536"])
    both = lab.errors(outputs, targets)
    assert (both > carry).all()
    assert both[-1] == pytest.approx(lab.error(model, targets), rel=1e-14)
    assert_printed([both[0], carry[0]], "1.4503 0.9060")  # as the text says


@pytest.mark.parametrize("name", ["AND", "OR", "XOR", "half adder"])
def test_gates_after_10000_steps(name):
    outputs = lab.trained(name).predict(lab.INPUTS)
    assert outputs.round().tolist() == lab.TARGETS[name].tolist()
    assert np.abs(outputs - lab.TARGETS[name]).max() < 0.02


def test_the_first_draw_for_xor_ends_in_a_local_minimum():
    model = lab.trained("XOR, first draw")
    outputs = model.predict(lab.INPUTS).ravel()
    assert np.abs(outputs[[1, 3]] - 0.5).max() < 0.001
    assert lab.error(model, lab.TARGETS["XOR"]) > 0.25


def test_a_step_is_the_lab_s_step():
    weights, targets = lab.first_weights()["half adder"], lab.TARGETS["half adder"]
    w1, b1, w2, b2 = weights
    hidden = 1 / (1 + np.exp(-(lab.INPUTS @ w1 + b1)))
    outputs = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    d2 = (outputs - targets) * outputs * (1 - outputs)
    d1 = d2 @ w2.T * hidden * (1 - hidden)
    gradients = [lab.INPUTS.T @ d1, d1.sum(axis=0), hidden.T @ d2, d2.sum(axis=0)]
    model = lab.network(weights)
    for gradient, expected in zip(lab.gradients(model, targets), gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    lab.descend(model, targets, steps=1, rate=0.3)
    for after, before, gradient in zip(model.get_weights(), weights, gradients, strict=True):
        np.testing.assert_allclose(after, before - 0.3 * gradient, rtol=1e-13)


def test_the_script_prints_the_gates_and_the_errors(capsys):
    printed = run_lab(5, capsys)
    assert printed.count("right: True") == 4
    assert "XOR, first draw: error 0.250363, right: False" in printed
    assert "step 1: carry 0.90598810022" in printed


@pytest.mark.parametrize("name", PASSES)
def test_the_forward_passes_before_the_first_step(name):
    inputs = 4 if name == "OR" else 1
    passed = lab.forward(lab.network(lab.first_weights()[name]))
    values = [array[:inputs].ravel() for z_and_output in reversed(passed) for array in z_and_output]
    assert_printed(np.concatenate(values), PASSES[name], digits=16 if name == "AND" else 8)
