# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The template engine: expressions, functions, parameters, and the plan of a template's resources."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local_azure.templates.errors import NotYetKnownError, TemplateError
from tests.local_azure.templates.evaluation import Evaluator
from tests.local_azure.templates.parameters import parameter_values, shown_parameters
from tests.local_azure.templates.plan import plan
from tests.local_azure.templates.scopes import Scope, place_functions
from tests.local_azure.templates.structure import check_structure

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/images"
NETWORK = "Microsoft.Network/virtualNetworks"
SCOPE = Scope(
    SUBSCRIPTION, "tenant", "images", {"id": GROUP, "name": "images", "location": "westus"}, deployment="d"
)
Json = dict[str, Any]


def evaluator(parameters: Json | None = None, template: Json | None = None) -> Evaluator:
    template = template or {}
    functions = {
        f"{group['namespace']}.{name}": function
        for group in template.get("functions", [])
        for name, function in group["members"].items()
    }
    providers = {"microsoft.network": {"resourceTypes": [{"resourceType": "vnets", "apiVersions": ["v2"]}]}}
    place = place_functions(SCOPE, template, providers)
    return Evaluator(parameters or {}, template.get("variables", {}), functions, place)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("plain text", "plain text"),
        ("[[no expression]", "[no expression]"),
        ("[concat('it''s ', 1, true())]", "it's 1True"),
        ("[concat(createArray(1), createArray(2))]", [1, 2]),
        ("[resourceGroup().location]", "westus"),
        ("[subscription().subscriptionId]", SUBSCRIPTION),
        ("[deployment().name]", "d"),
        ("[resourceId('Microsoft.Compute/disks', 'os')]", f"{GROUP}/providers/Microsoft.Compute/disks/os"),
        (
            "[resourceId('other', 'Microsoft.Network/virtualNetworks/subnets', 'net', 'a')]",
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/other/providers/{NETWORK}/net/subnets/a",
        ),
        (
            "[subscriptionResourceId('Microsoft.Resources/resourceGroups', 'g')]",
            f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/resourceGroups/g",
        ),
        ("[providers('Microsoft.Network', 'vnets').apiVersions[0]]", "v2"),
        ("[if(equals('a', 'A'), div(1, 0), 'other')]", "other"),
        ("[if(greater(2, 1), 'more', div(1, 0))]", "more"),
        ("[and(true(), not(false()), or(false(), true()))]", True),
        ("[format('{0}-{1:D3} {{}}', 'vm', 7)]", "vm-007 {}"),
        ("[split('a,b;c', createArray(',', ';'))]", ["a", "b", "c"]),
        ("[take('abcdef', 2)]", "ab"),
        ("[skip(createArray(1, 2, 3), 1)]", [2, 3]),
        ("[last(split('a/b', '/'))]", "b"),
        ("[length('four')]", 4),
        ("[replace('a-b', '-', '')]", "ab"),
        ("[substring('golden', 1, 3)]", "old"),
        ("[padLeft(7, 3, '0')]", "007"),
        ("[toUpper(trim(' x '))]", "X"),
        ("[contains(createObject('Key', 1), 'key')]", True),
        ("[empty(null())]", True),
        ("[coalesce(null(), 'b')]", "b"),
        (
            (
                "[union(createObject('a', 1, 'b', createObject('x', 1)), "
                "createObject('b', createObject('y', 2)))]"
            ),
            {"a": 1, "b": {"x": 1, "y": 2}},
        ),
        ("[intersection(createArray(1, 2), createArray(2, 3))]", [2]),
        ("[items(createObject('b', 2, 'a', 1))]", [{"key": "a", "value": 1}, {"key": "b", "value": 2}]),
        ("[div(-7, 2)]", -3),
        ("[mod(7, 3)]", 1),
        ("[max(createArray(1, 9, 3))]", 9),
        ("[range(5, 3)]", [5, 6, 7]),
        ("[int('12')]", 12),
        ("[bool('TRUE')]", True),
        ("[string(createArray(1, 'a'))]", '[1,"a"]'),
        ('[json(\'{"a": [1, {"b": 2}]}\').a[1].b]', 2),
        ("[base64ToString(base64('text'))]", "text"),
        ("[uri('https://host/a/', 'b')]", "https://host/a/b"),
        ("[uriComponent('a b')]", "a%20b"),
        ("[dateTimeAdd('2024-01-31T00:00:00Z', 'P1DT2H')]", "2024-02-01T02:00:00Z"),
        ("[map(range(0, 3), lambda('n', mul(lambdaVariables('n'), 2)))]", [0, 2, 4]),
        ("[filter(range(0, 4), lambda('n', greater(lambdaVariables('n'), 1)))]", [2, 3]),
        # What Azure makes of this name; both depend on their arguments only.
        ("[uniqueString('tyeth')]", "zcztcwvu6iyg6"),
        ("[guid('a', 'b')]", "2d796349-8c7e-55ec-9624-54ece82ed031"),
    ],
)
def test_expression_has_the_value_of_azure(expression: str, value: Any) -> None:
    assert evaluator().value(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "[parameters('missing')]",
        "[variables('missing')]",
        "[noSuchFunction()]",
        "[concat('a']",
        "[concat('a') 'b']",
        "[copyIndex()]",
        "[div(1, 0)]",
        "[createArray(1)[5]]",
        "[createObject('a', 1).b]",
        "[resourceId('no type')]",
        "[resourceId('Microsoft.Network/virtualNetworks/subnets', 'one name of two')]",
        "[toLower(1)]",
        "[substring('abc', 2, 5)]",
    ],
)
def test_wrong_expression_is_refused(expression: str) -> None:
    with pytest.raises(TemplateError):
        evaluator().value(expression)


def test_variables_are_found_without_case_and_may_use_each_other() -> None:
    template = {
        "variables": {
            "name": "[concat(variables('PREFIX'), parameters('Suffix'))]",
            "prefix": "vm-",
            "copy": [{"name": "disks", "count": 2, "input": {"lun": "[copyIndex('disks', 1)]"}}],
        }
    }
    made = evaluator({"suffix": "x"}, template)
    assert made.value("[variables('name')]") == "vm-x"
    assert made.value("[variables('disks')]") == [{"lun": 1}, {"lun": 2}]


def test_variable_that_depends_on_itself_is_refused() -> None:
    with pytest.raises(TemplateError, match="depends on itself"):
        evaluator(template={"variables": {"a": "[variables('b')]", "b": "[variables('a')]"}}).value(
            "[variables('a')]"
        )


def test_function_of_the_template_sees_its_own_parameters_only() -> None:
    template = {
        "functions": [
            {
                "namespace": "own",
                "members": {
                    "twice": {
                        "parameters": [{"name": "text", "type": "string"}],
                        "output": {"value": "[concat(parameters('text'), parameters('text'))]"},
                    }
                },
            }
        ]
    }
    assert evaluator({"text": "outer"}, template).value("[own.twice('ab')]") == "abab"


def test_references_are_not_known_before_anything_is_deployed() -> None:
    for expression in ("[reference('disk')]", "[listKeys('account', '2023-05-01').keys[0]]"):
        with pytest.raises(NotYetKnownError):
            evaluator().value(expression)


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"resources": "none"},
        {"resources": [1]},
        {"resources": [], "functions": [{"members": {"f": {"parameters": [{}], "output": {}}}}]},
        {"resources": [], "functions": [{"members": {"f": {"output": "x"}}}]},
        {"resources": [], "outputs": {"o": "x"}},
        {"resources": [{"dependsOn": "one"}]},
        {"resources": [{"properties": 1}]},
        {"resources": [{"resources": [{"copy": []}]}]},
        {"resources": {"symbol": {"properties": {"expressionEvaluationOptions": "inner"}}}},
    ],
)
def test_what_is_not_built_like_a_template_is_refused_with_its_place(template: Json) -> None:
    with pytest.raises(TemplateError) as refused:
        check_structure(template)
    assert refused.value.path.startswith("properties.template.")


# Parameters.


def test_parameters_take_given_values_and_defaults() -> None:
    declared: dict[str, Json] = {
        "name": {"type": "string"},
        "size": {"type": "int", "defaultValue": 2},
        "full": {"type": "String", "defaultValue": "[concat(parameters('name'), '-full')]"},
        "password": {"type": "securestring", "defaultValue": "secret"},
    }
    values = parameter_values(declared, {"Name": {"value": "vm"}}, evaluator())
    assert values == {"name": "vm", "size": 2, "full": "vm-full", "password": "secret"}
    assert shown_parameters(declared, values) == {
        "name": {"type": "String", "value": "vm"},
        "size": {"type": "Int", "value": 2},
        "full": {"type": "String", "value": "vm-full"},
        "password": {"type": "SecureString"},
    }


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ({"type": "string"}, {}, "is not provided"),
        ({"type": "string"}, {"a": {"value": 1}}, "Expected 'String, Uri'. Actual 'Integer'"),
        ({"type": "int"}, {"a": {"value": True}}, "Expected 'Integer'. Actual 'Boolean'"),
        ({"type": "string", "allowedValues": ["x", "y"]}, {"a": {"value": "z"}}, "allowed value"),
        ({"type": "int", "minValue": 3}, {"a": {"value": 2}}, "greater than or equal to '3'"),
        ({"type": "string", "maxLength": 2}, {"a": {"value": "abc"}}, "Length of the value"),
        ({"type": "strange"}, {"a": {"value": 2}}, "is not valid"),
        ({"type": "string"}, {"a": "no object"}, "is null"),
        ({"type": "string"}, {"a": {"value": "x"}, "b": {"value": "y"}}, "'b' in the parameters file"),
    ],
)
def test_parameter_that_does_not_fit_is_refused(declared: Json, given: Json, message: str) -> None:
    with pytest.raises(TemplateError, match=message.replace("(", r"\(")):
        parameter_values({"a": declared}, given, evaluator())


def test_value_of_a_secret_is_not_named_in_its_refusal() -> None:
    declared = {"a": {"type": "secureString", "allowedValues": ["x"]}}
    with pytest.raises(TemplateError) as refused:
        parameter_values(declared, {"a": {"value": "hidden-value"}}, evaluator())
    assert "hidden-value" not in refused.value.message


# The plan.


def resource(name: str, kind: str = NETWORK, **members: Any) -> Json:
    return {"type": kind, "name": name, "apiVersion": "2024-05-01", **members}


def needs_of(*resources: Json) -> dict[str, list[str]]:
    planned = plan({"resources": list(resources)}, evaluator(), SCOPE)
    return {r.name: [need.rpartition("/")[2] for need in r.needs] for r in planned}


@pytest.mark.parametrize(
    "depends",
    ["one", f"{NETWORK}/one", f"{GROUP}/providers/{NETWORK}/one", "[resourceId('" + NETWORK + "', 'one')]"],
)
def test_dependency_is_found_by_name_type_or_id(depends: str) -> None:
    assert needs_of(resource("one"), resource("two", dependsOn=[depends])) == {"one": [], "two": ["one"]}


def test_dependency_names_are_compared_without_case() -> None:
    # azure-cli writes publicIpAddresses where the resource is of type publicIPAddresses.
    address = resource("ip", "Microsoft.Network/publicIPAddresses")
    nic = resource(
        "nic", "Microsoft.Network/networkInterfaces", dependsOn=["Microsoft.Network/publicIpAddresses/ip"]
    )
    assert needs_of(address, nic)["nic"] == ["ip"]


def test_reference_is_a_dependency() -> None:
    reader = resource("two", properties={"x": [{"y": f"[reference(resourceId('{NETWORK}', 'one')).z]"}]})
    assert needs_of(resource("one"), reader)["two"] == ["one"]


def test_copies_have_names_of_their_own_and_are_named_together() -> None:
    copies = resource("[concat('net', copyIndex(1))]", copy={"name": "nets", "count": 3})
    assert needs_of(copies, resource("all", dependsOn=["nets"])) == {
        "net1": [],
        "net2": [],
        "net3": [],
        "all": ["net1", "net2", "net3"],
    }


def test_serial_copies_wait_for_the_batch_before_them() -> None:
    loop = {"name": "nets", "count": 4, "mode": "serial", "batchSize": 2}
    assert needs_of(resource("[concat('net', copyIndex())]", copy=loop)) == {
        "net0": [],
        "net1": [],
        "net2": ["net0", "net1"],
        "net3": ["net0", "net1"],
    }


def test_disabled_resource_is_left_out_together_with_dependencies_on_it() -> None:
    needs = needs_of(resource("off", condition="[equals(1, 2)]"), resource("on", dependsOn=["off"]))
    assert needs == {"on": []}


def test_child_resources_get_their_parents_type_and_name() -> None:
    parent = resource("net", resources=[resource("sub", "subnets", dependsOn=[f"{NETWORK}/net"])])
    planned = plan({"resources": [parent]}, evaluator(), SCOPE)
    assert [r.id for r in planned] == [
        f"{GROUP}/providers/{NETWORK}/net",
        f"{GROUP}/providers/{NETWORK}/net/subnets/sub",
    ]


def test_symbolic_names_stand_for_their_resources() -> None:
    template = {
        "languageVersion": "2.0",
        "resources": {"net": resource("one"), "other": resource("two", dependsOn=["net"])},
    }
    planned = plan(template, evaluator(), SCOPE)
    assert planned[1].needs == [planned[0].id]


def test_properties_are_copied_where_the_template_says_so() -> None:
    loop = {"name": "dataDisks", "count": 2, "input": {"lun": "[copyIndex('dataDisks')]"}}
    disks = resource("vm", properties={"storageProfile": {"copy": [loop], "osDisk": "[null()]"}})
    body = plan({"resources": [disks]}, evaluator(), SCOPE)[0].body()
    assert body == {"properties": {"storageProfile": {"dataDisks": [{"lun": 0}, {"lun": 1}], "osDisk": None}}}


def test_inner_template_is_left_to_its_own_deployment() -> None:
    inner = {"resources": [], "outputs": {"x": {"type": "string", "value": "[parameters('p')]"}}}
    nested = resource(
        "nested",
        "Microsoft.Resources/deployments",
        properties={
            "expressionEvaluationOptions": {"scope": "inner"},
            "mode": "[concat('Incre', 'mental')]",
            "template": inner,
        },
    )
    body = plan({"resources": [nested]}, evaluator(), SCOPE)[0].body()
    assert body["properties"]["template"] == inner
    assert body["properties"]["mode"] == "Incremental"


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ([resource("a", dependsOn=["b"]), resource("b", dependsOn=["a"])], "Circular dependency"),
        ([resource("a", dependsOn=["missing"])], "'missing' is not defined in the template"),
        ([resource("a"), resource("A")], "defined multiple times"),
        ([resource("a/b")], "incorrect segment lengths"),
        ([{"name": "a", "type": NETWORK}], "no 'apiVersion'"),
        ([resource("[reference('x').name]")], "not expected at this location"),
        ([resource("a", copy={"name": "c", "count": 801})], "copy count"),
    ],
)
def test_template_that_cannot_be_deployed_is_refused(resources: list[Json], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        plan({"resources": resources}, evaluator(), SCOPE)
