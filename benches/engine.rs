//! The parts that a run spends its time in: the agenda beside the standard library's heap, one scheduling decision by both engines, a
//! whole run.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use stowplan::control::api;
use stowplan::engine::agenda::{Agenda, Rank};
use stowplan::engine::rng::{EntityKey, Streams, TieBreak};
use stowplan::engine::time::{SimDuration, SimTime};
use stowplan::model::names::sym;
use stowplan::model::pod::PodOwner;
use stowplan::model::quantity::Quantity;
use stowplan::model::volume::{ClaimOwner, ClaimSpec};
use stowplan::model::workload::ClaimTemplate;
use stowplan::scenario::{LoadOptions, ScenarioFile};
use stowplan::scheduler::cycle::{Detail, Engine, Outcome, Request, Scheduler};
use stowplan::scheduler::profile::Profile;
use stowplan::simulate::{self, Options};

/// Exponential increments with a mean of one second, in nanoseconds.
fn increments(count: usize) -> Vec<u64> {
    let streams = Streams::new(1, 0);
    let uniform = |i| (streams.index("bench", EntityKey(i), 1 << 30) as f64 + 1.0) / f64::from(1 << 30);
    (0..count as u64).map(|i| (-libm::log(uniform(i)) * 1e9) as u64).collect()
}

/// The hold model: take the next event, schedule another.
fn agenda(c: &mut Criterion) {
    let gaps = increments(1 << 16);
    let mut group = c.benchmark_group("hold");
    for pending in [1_000usize, 100_000, 1_000_000] {
        group.bench_function(BenchmarkId::new("agenda", pending), |b| {
            let mut agenda: Agenda<[u64; 2]> = Agenda::default();
            for i in 0..pending {
                agenda.schedule(SimTime::from_nanos(gaps[i % gaps.len()]), Rank(0), [i as u64; 2]);
            }
            let mut turn = 0;
            b.iter(|| {
                turn += 1;
                let (key, event) = agenda.pop().expect("never empty");
                let gap = SimDuration::from_nanos(gaps[turn % gaps.len()]);
                agenda.schedule(key.at + gap, Rank(0), event);
            });
        });
        group.bench_function(BenchmarkId::new("bare heap", pending), |b| {
            let mut heap: BinaryHeap<Reverse<(u64, u64, [u64; 2])>> = BinaryHeap::new();
            for i in 0..pending {
                heap.push(Reverse((gaps[i % gaps.len()], i as u64, [i as u64; 2])));
            }
            let mut turn = pending;
            b.iter(|| {
                turn += 1;
                let Reverse((at, _, event)) = heap.pop().expect("never empty");
                heap.push(Reverse((at + gaps[turn % gaps.len()], turn as u64, event)));
            });
        });
    }
    group.finish();
}

/// The README's scenario, without results: both engines.
fn whole_run(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/mysql-local-pv.yaml");
    let file = ScenarioFile::read(&path, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let base = file.resolve(&[]).unwrap_or_else(|e| panic!("{e}"));
    let mut group = c.benchmark_group("mysql-local-pv");
    group.sample_size(10);
    for variant in &base.scenario.variants {
        for plain in [false, true] {
            let engine = if plain { "plain" } else { "fast" };
            group.bench_function(format!("{}/{engine}", variant.name.value), |b| {
                b.iter_batched(
                    || {
                        let loaded = file.resolve_point(variant, &[], &[]).unwrap_or_else(|e| panic!("{e}"));
                        let options = Options { plain, ..Options::default() };
                        simulate::prepare(&loaded, variant.binding_mode, options)
                            .unwrap_or_else(|e| panic!("{e}"))
                    },
                    |prepared| stowplan::world::run(&prepared.plan, ()).map(|end| end.decisions),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

/// One attempt on 1,000 nodes with 10 volumes each: PreFilter, Filter, Score and Reserve, given back afterwards.
fn filter_cycle(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scale/row-1.yaml");
    let file = ScenarioFile::read(&path, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let loaded = file.resolve(&[]).unwrap_or_else(|e| panic!("{e}"));
    let plan = simulate::prepare(&loaded, None, Options::default()).unwrap_or_else(|e| panic!("{e}")).plan;
    let generator = &plan.generators[0];
    let mut group = c.benchmark_group("filter cycle, 1,000 nodes");
    for engine in [Engine::Fast, Engine::Plain] {
        let mut cluster = plan.cluster.clone();
        let name = cluster.names.name("bench-0-0");
        let spec = cluster.intern_spec(generator.spec.clone());
        let pod = api::new_pod(&mut cluster, name, spec, PodOwner::None, SimTime::ZERO);
        for claim in &generator.claims {
            let asked = ClaimSpec {
                class: Some(claim.class),
                modes: claim.modes,
                request: Quantity::from_bytes(10 << 30),
                selector: None,
                mode: claim.mode,
                attributes_class: None,
            };
            let template = ClaimTemplate { prefix: claim.prefix, spec: cluster.intern_claim_spec(asked) };
            let made = api::create_claim(
                &mut cluster,
                sym::DEFAULT,
                name,
                template,
                ClaimOwner::None,
                SimTime::ZERO,
            );
            assert!(made.is_ok(), "a claim of its own");
        }
        let pod = cluster.add_pod(pod).expect("a pod of its own");
        let profiles = plan.profiles.iter().map(Profile::new).collect::<Result<_, _>>().expect("profiles");
        let ties = TieBreak::Seeded(Streams::new(plan.seed, 0));
        let mut scheduler = Scheduler::new(profiles, ties).with_engine(engine);
        let mut attempt = 0;
        group.bench_function(format!("{engine:?}"), |b| {
            b.iter(|| {
                attempt += 1;
                let request = Request { pod, now: SimTime::ZERO, attempt, detail: Detail::Brief };
                let made = scheduler.attempt(&mut cluster, request).expect("a profile");
                let Outcome::Reserved(binding) = made.outcome else { panic!("a node is free") };
                scheduler.unreserve(&mut cluster, &binding);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, agenda, filter_cycle, whole_run);
criterion_main!(benches);
