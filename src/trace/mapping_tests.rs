//! Arrivals of small traces, worked out by hand.

use super::*;
use crate::trace::{TraceInput, TraceRequest};

const HEADER: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n";
/// late (30..40, 3 cores), early (10..15, 1 core), tie (10..90, 2 cores, half a GPU).
const ROWS: &str = "late,3000,1,0,0,,LS,Running,30,40,30\n\
                    early,1000,1,0,0,,LS,Running,10,15,10\n\
                    tie,2000,1,1,500,,LS,Running,10,90,10\n";

fn arrivals(text: &str, rules: ArrivalRules) -> TraceResult<Arrivals> {
    let text = if text.starts_with("instance_sn") { text.to_owned() } else { format!("{HEADER}{text}") };
    let input = TraceInput::Bytes("t.csv".into(), text.into_bytes().into());
    Arrivals::new(TraceSource::open(&TraceRequest::new(None, vec![input]))?, rules, Streams::new(42, 0))
}

fn times(text: &str, rules: ArrivalRules) -> Vec<(String, u64, Option<u64>)> {
    let nanos = |t: SimTime| t.as_nanos() / 1_000_000;
    arrivals(text, rules)
        .expect("good rules")
        .map(|a| a.expect("good rows"))
        .map(|a| (a.name, nanos(a.at), a.leaves.map(nanos)))
        .collect()
}

fn rules(mode: TraceMode) -> ArrivalRules {
    ArrivalRules { mode, ..ArrivalRules::default() }
}

fn row(name: &str, at: u64, leaves: Option<u64>) -> (String, u64, Option<u64>) {
    (name.to_owned(), at, leaves)
}

#[test]
fn fill_keeps_the_order_and_nobody_leaves() {
    let want = [row("early", 0, None), row("tie", 1000, None), row("late", 2000, None)];
    assert_eq!(times(ROWS, rules(TraceMode::FILL)), want);
}

#[test]
fn clock_keeps_times_and_compress_keeps_lifetimes() {
    let want = [
        row("early", 10_000, Some(15_000)),
        row("tie", 10_000, Some(90_000)),
        row("late", 30_000, Some(40_000)),
    ];
    assert_eq!(times(ROWS, rules(TraceMode::Clock)), want);
    let want =
        [row("early", 2500, Some(7500)), row("tie", 2500, Some(82_500)), row("late", 7500, Some(17_500))];
    assert_eq!(times(ROWS, rules(TraceMode::Compress { factor_milli: 4000 })), want);
}

#[test]
fn until_draws_again_until_the_demand_has_arrived() {
    let until = |of, demand| ArrivalRules { until: Some(Until { of, demand }), ..ArrivalRules::default() };
    // One pass asks for 6 cores: the third pod crosses 4 cores, and no more come.
    assert_eq!(times(ROWS, until(DemandOf::Cpu, 4000)).len(), 3);
    assert_eq!(times(ROWS, until(DemandOf::Cpu, 3000)).len(), 2);
    let long = times(ROWS, until(DemandOf::Gpu, 5000));
    assert_eq!(long.iter().filter(|a| a.0.starts_with("tie")).count(), 10, "half a GPU each");
    assert_eq!(long, times(ROWS, until(DemandOf::Gpu, 5000)), "the same seed draws the same pods");
    let names: std::collections::BTreeSet<&String> = long.iter().map(|a| &a.0).collect();
    assert_eq!(names.len(), long.len(), "names are unique");
    let endless = arrivals(ROWS, until(DemandOf::Disk, 1)).expect("good rules").find_map(Result::err);
    assert!(endless.expect("an error, not an endless run").message.contains("no pod"));
    let wrong = ArrivalRules { mode: TraceMode::Clock, ..until(DemandOf::Cpu, 1) };
    assert!(arrivals(ROWS, wrong).is_err());
}

#[test]
fn windows_cut_and_shift() {
    let window = Some((SimTime::from_secs(12), SimTime::from_secs(30)));
    let rules = ArrivalRules { window, ..rules(TraceMode::Clock) };
    // early was there and goes 3 s later, tie likewise after 78 s; late comes when the window is over.
    assert_eq!(times(ROWS, rules), [row("early", 0, Some(3000)), row("tie", 0, Some(78_000))]);
}

#[test]
fn thinning_keeps_every_nth_job_whole() {
    let header = "instance_sn,role,app_name,cpu_request,cpu_limit,gpu_request,gpu_limit,rdma_request,rdma_limit,memory_request,memory_limit,disk_request,disk_limit,max_instance_per_node,creation_time,scheduled_time,deletion_time\n";
    let rows: String = [("a", "x", 1), ("b", "y", 2), ("c", "x", 3), ("d", "z", 4), ("e", "y", 5)]
        .map(|(n, app, t)| format!("{n},CN,{app},2,2,0,0,1,1,16.0,16.0,85.0,100.0,-1,{t}.0,{t}.0,\n"))
        .concat();
    let rules = ArrivalRules { every_nth_job: 2, ..rules(TraceMode::Clock) };
    let kept = arrivals(&format!("{header}{rows}"), rules).expect("good rules").map(|a| a.expect("good"));
    let kept: Vec<(String, u64)> = kept.map(|a| (a.name, a.claims[0].bytes >> 30)).collect();
    // Apps in order of appearance: x, y, z; x and z stay. One claim of the disk request.
    assert_eq!(kept, [("a", 85), ("c", 85), ("d", 85)].map(|(n, gib)| (n.to_owned(), gib)));
}

#[test]
fn synthetic_claims_are_drawn_per_pod_by_its_name() {
    let text: String = (0..1000).map(|i| format!("p{i},1000,1,0,0,,LS,Running,{i},5000,{i}\n")).collect();
    let claims = |text: &str, share| {
        let size: SizeRule = Arc::new(|rng| 1 + (samplers::unit(rng) * 1e6) as u64);
        let rules = ArrivalRules { claims: ClaimRule::Synthetic { share, size }, ..ArrivalRules::default() };
        let all = arrivals(text, rules).expect("good rules").map(|a| a.expect("good"));
        all.map(|a| (a.name.clone(), a.claims)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let some = claims(&text, 0.6);
    let with = some.values().filter(|c| !c.is_empty()).count();
    assert!((540..660).contains(&with), "about 60 %: {with}");
    assert!(some.values().flatten().all(|c| c.synthetic && c.template == "data"));
    let half: String = text.lines().skip(500).map(|l| format!("{l}\n")).collect();
    for (name, found) in claims(&half, 0.6) {
        assert_eq!(found, some[&name], "the same with fewer pods around");
    }
    assert!(claims(&text, 0.0).values().all(Vec::is_empty));
    assert!(claims(&text, 1.0).values().all(|c| c.len() == 1));
}

#[test]
fn names_become_dns_labels() {
    for (name, label) in [
        ("openb-pod-0000", "openb-pod-0000"),
        ("instance_17", "instance-17"),
        ("A/b+C=", "a-b-c"),
        ("", "pod"),
        ("__", "pod"),
        ("ü", "pod"),
    ] {
        assert_eq!(dns_label(name), label, "{name}");
    }
    let long = dns_label(&"Az".repeat(40));
    assert!(long.len() <= 63 && long.starts_with("azaz"), "{long}");
    assert_ne!(long, dns_label(&format!("{}b", "Az".repeat(40))));
    let mut names = Names::default();
    let made = ["a_b", "a-b", "a.b"].map(|n| names.unique(&TraceId::from(n)));
    assert_eq!(made, ["a-b", "a-b-x2", "a-b-x3"]);
}
