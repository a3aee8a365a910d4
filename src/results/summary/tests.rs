use super::*;

fn variant(name: &str) -> VariantSummary {
    VariantSummary { name: name.into(), ..VariantSummary::default() }
}

#[test]
fn the_contract_names_are_kept() {
    let mut one = variant("immediate");
    one.pods.stuck_by = BTreeMap::from([(StuckCause::Unschedulable, 27), (StuckCause::NotCreated, 2)]);
    one.storage = StorageSummary::new(
        StorageBytes { capacity_bytes: 3 * u128::from(u64::MAX), ..StorageBytes::default() },
        StorageBytes::default(),
    );
    one.stranded.onset = Some(0.83);
    let summary = Summary { variants: vec![one], ..Summary::default() };
    let text = serde_json::to_string(&summary).expect("serializes");
    for part in [
        r#"{"schemaVersion":1,"tool":"stowplan "#,
        r#""scenarioDigest":"","seed":0,"assumptions":[],"variants":[{"name":"immediate","digest":"","pods":{"wanted":0,"created":0,"running":0,"pending":0,"terminating":0,"completed":0,"failed":0,"deleted":0,"notCreated":0,"stuck":0,"stuckBy":{"unschedulable":27,"notCreated":2},"stuckByBinding":0,"stuckEver":0,"stuckSeconds":0.0,"unschedulableAverage":0.0,"neverScheduled":0,"stuckReasons":[]}"#,
        r#""sets":{"wanted":0,"whole":0,"stuck":0,"stuckByBinding":0},"claims":{"created":0,"bound":0,"pending":0,"lost":0}"#,
        r#""pendingSeconds":{"p50":null,"p90":null,"p99":null,"max":null},"pendingSecondsWithUnscheduled":{"#,
        r#""storage":{"capacityBytes":55340232221128654845,"requestedBytes":0,"overSizeBytes":0,"releasedBytes":0,"freeBytes":0,"unreachableBytes":0,"heldByStuckBytes":0,"orphanedBytes":0,"unusableFreeBytes":0,"uncarvedBytes":0,"timeWeighted":{"capacityBytes":0"#,
        r#""stranded":{"end":{"cpuMilli":0.0,"memoryBytes":0,"diskBytes":0,"nodes":0.0},"peak":{"#,
        r#""onset":0.83},"utilization":{"cpu":null,"memory":null,"storage":null,"atEnd":{"#,
        r#""recovery":{"groups":0,"degradedSeconds":0.0,"quorumLostSeconds":0.0,"rebuiltBytes":0,"neverRecovered":0,"neverRecoveredBy":{},"rebuilds":0,"catchUpBytes":0,"dataAtRiskSeconds":0.0,"lostWriteSeconds":0.0},"events":0,"decisions":0,"simulatedSeconds":0.0}],"comparison":[]}"#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(serde_json::from_str::<Summary>(&text).expect("reads back"), summary);
}

#[test]
fn comparison_is_variant_minus_baseline_for_every_number() {
    let (mut a, mut b) = (variant("immediate"), variant("wait"));
    a.pods.running = 151;
    b.pods.running = 180;
    a.pods.stuck_by = BTreeMap::from([(StuckCause::Unschedulable, 27)]);
    b.pods.stuck_by = BTreeMap::from([(StuckCause::NodeGone, 1)]);
    a.pods.stuck_reasons = stuck_reasons(["x"]);
    (a.utilization.cpu, b.utilization.cpu) = (Some(0.61), Some(0.55));
    (a.stranded.onset, b.stranded.onset) = (Some(0.83), None);
    (a.pending_seconds.p50, b.pending_seconds.p50) = (Some(1.5), Some(1.0));
    a.storage.over_size_bytes = 10 * u128::from(u64::MAX);
    let comparison = compare(&[a, b]);
    let text = serde_json::to_string(&comparison).expect("serializes");
    for part in [
        r#"[{"baseline":"immediate","variant":"wait","claims.bound":0,"#,
        r#""pods.running":29"#,
        r#""pods.stuckBy.nodeGone":1,"pods.stuckBy.unschedulable":-27,"#,
        r#""utilization.cpu":-0.06"#,
        r#""pendingSeconds.p50":-0.5"#,
        r#""storage.overSizeBytes":-184467440737095516150"#,
        r#""storage.timeWeighted.freeBytes":0"#,
        r#""stranded.end.cpuMilli":0.0"#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for absent in ["onset", "stuckReasons", "digest", "utilization.memory"] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
    let again: Vec<Comparison> = serde_json::from_str(&text).expect("reads back");
    assert_eq!(again[0].differences["pods.running"], Difference::Integer(29));
    assert_eq!(again[0].differences["utilization.cpu"], Difference::Float(-0.06));
}

#[test]
fn one_variant_compares_with_nothing() {
    assert_eq!(compare(&[variant("as-is")]), []);
    assert_eq!(compare(&[]), []);
    assert_eq!(compare(&[variant("a"), variant("b"), variant("c")]).len(), 2);
}

#[test]
fn reasons_are_grouped_and_cut_at_twenty() {
    let reasons = stuck_reasons(["b", "a", "b", "a", "c", "b"]);
    let pairs: Vec<(&str, u64)> = reasons.iter().map(|r| (r.message.as_str(), r.pods)).collect();
    assert_eq!(pairs, [("b", 3), ("a", 2), ("c", 1)]);

    // 25 texts, once each, and the last of them once more: it comes first, 19 follow by text, 5 are left.
    let texts: Vec<String> = (0..25).map(|i| format!("m{i:02}")).collect();
    let reasons = stuck_reasons(texts.iter().cloned().chain(["m24".to_owned()]));
    assert_eq!(reasons.len(), 21);
    assert_eq!((reasons[0].message.as_str(), reasons[0].pods), ("m24", 2));
    assert_eq!((reasons[19].message.as_str(), reasons[19].pods), ("m18", 1));
    assert_eq!((reasons[20].message.as_str(), reasons[20].pods), (OTHER_REASONS, 5));
}

#[test]
fn causes_keep_their_names() {
    for cause in StuckCause::ALL {
        assert_eq!(serde_json::to_value(cause).expect("a name"), cause.name());
    }
}
