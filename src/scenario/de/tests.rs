use k8s_openapi::api::core::v1::{Pod, Service};

use super::*;
use crate::diagnostic::Sources;
use crate::scenario::tree::Limits;
use crate::scenario::yaml;

fn read<T: DeserializeOwned>(text: &str) -> (Result<T, String>, Vec<String>) {
    let mut sources = Sources::new();
    let source = sources.add("t.yaml", text);
    let mut warnings = Vec::new();
    let value = yaml::parse_all(&sources, source, &Limits::scenario()).map(|mut v| v.pop());
    let result = match value {
        Ok(Some(value)) => from_value(&value, &mut warnings).map_err(|d| d.render(&sources, false)),
        _ => Err("no document".to_owned()),
    };
    (result, warnings.iter().map(|w| w.render(&sources, false)).collect())
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, creationTimestamp: null}\nspec:\n  containers:\n  - name: c\n";

#[test]
fn quantities_may_be_numbers() {
    for (written, want) in [
        ("1.5", "1.5"),
        ("0x10", "16"),
        ("1e3", "1e3"),
        ("010", "8"),
        ("'010'", "010"),
        ("2Gi", "2Gi"),
        ("null", "0"),
    ] {
        let (pod, warnings) = read::<Pod>(&format!("{POD}    resources: {{requests: {{cpu: {written}}}}}\n"));
        let pod = pod.unwrap_or_else(|e| panic!("{e}"));
        let spec = pod.spec.unwrap_or_default();
        let requests = spec.containers[0].resources.clone().and_then(|r| r.requests).unwrap_or_default();
        assert_eq!(requests.get("cpu").map(|q| &*q.0), Some(want), "{written}");
        assert!(warnings.is_empty());
    }
}

#[test]
fn wrong_types_have_path_and_place() {
    for (field, path, place) in [
        ("    image: [x]\n", "spec.containers[0].image", "t.yaml:7:12"),
        ("    ports: 5\n", "spec.containers[0].ports", "t.yaml:7:12"),
        ("    image: yes\n", "spec.containers[0].image", "t.yaml:7:12"),
        (
            "    resources: {requests: {cpu: true}}\n",
            "spec.containers[0].resources.requests.cpu",
            "t.yaml:7:33",
        ),
        ("    resources: {limits: {cpu: 10Gb}}\n", "spec.containers[0].resources.limits.cpu", "t.yaml:7:31"),
        ("  priority: high\n", "spec.priority", "t.yaml:7:13"),
        ("  priority: 99999999999\n", "spec.priority", "t.yaml:7:13"),
    ] {
        let (result, _) = read::<Pod>(&format!("{POD}{field}"));
        let message = result.err().unwrap_or_default();
        assert!(message.contains(path) && message.contains(place), "{message}");
    }
}

#[test]
fn unknown_fields_are_warned_about_with_a_hint() {
    let (result, warnings) = read::<Pod>(&format!("{POD}    imgae: x\n  hostNetwerk: true\n"));
    assert!(result.is_ok());
    assert!(
        warnings[0].contains("spec.containers[0].imgae") && warnings[0].contains("`image`"),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("t.yaml:8:3") && warnings[1].contains("`hostNetwork`"), "{warnings:?}");
}

#[test]
fn null_is_the_zero_value_and_numbers_may_be_ports() {
    let (service, _) = read::<Service>(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: null}\nspec: {ports: [{port: 80, targetPort: web}, {port: 1e2, targetPort: 8080}], clusterIP: None}\n",
    );
    let ports = service.unwrap_or_else(|e| panic!("{e}")).spec.and_then(|s| s.ports).unwrap_or_default();
    assert_eq!((ports[0].port, ports[1].port), (80, 100));
}
