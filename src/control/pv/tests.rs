//! One row per branch: volumes and claims before, what is synced, volumes and claims after, events.

use super::*;
use crate::model::fixture::Fixture;
use crate::observe::Subject;

/// One branch.
struct Row {
    branch: &'static str,
    volumes: &'static [&'static str],
    claims: &'static [&'static str],
    /// `claim c1` or `volume pv1`.
    sync: &'static str,
    /// What became of them: the changing parts, in order.
    after: &'static [&'static str],
    events: &'static [&'static str],
}

fn run(row: &Row, prepare: impl FnOnce(&mut Fixture)) -> (Vec<String>, Vec<String>) {
    let mut fixture = Fixture::new();
    let volumes: Vec<VolumeId> = row.volumes.iter().map(|words| fixture.volume(words)).collect();
    let claims: Vec<ClaimId> = row.claims.iter().map(|words| fixture.claim(words)).collect();
    prepare(&mut fixture);
    let key = match row.sync.split_once(' ') {
        Some(("claim", name)) => PvKey::Claim(fixture.claim_id(name)),
        Some(("volume", name)) => PvKey::Volume(fixture.volume_id(name)),
        other => panic!("{other:?}"),
    };
    let mut out = PvOutput::default();
    sync_and_write(&mut fixture.cluster, key, &mut out);
    let mut after: Vec<String> = volumes.iter().map(|id| fixture.show_volume(*id)).collect();
    after.extend(claims.iter().map(|id| fixture.show_claim(*id)));
    after.extend(out.enqueue.iter().map(|key| format!("enqueue {}", show_key(&fixture, *key))));
    let event = |e: &PvEvent| {
        let kind = if e.is_warning() { "Warning" } else { "Normal" };
        let about = match e.about {
            Subject::Volume(id) => fixture.cluster.names.text(fixture.cluster.volume(id).name).to_owned(),
            Subject::Claim(id) => fixture.cluster.names.show(fixture.cluster.claim(id).name).to_string(),
            other => panic!("{other:?}"),
        };
        format!("{about} {kind} {}: {}", e.reason(), e.message(&fixture.cluster))
    };
    (after, out.events.iter().map(event).collect())
}

fn show_key(fixture: &Fixture, key: PvKey) -> String {
    match key {
        PvKey::Claim(id) => fixture.cluster.claim_key(id),
        other => panic!("{other:?}"),
    }
}

fn check(rows: &[Row]) {
    for row in rows {
        let (after, events) = run(row, |_| {});
        assert_eq!(after, row.after, "{}", row.branch);
        assert_eq!(events, row.events, "events of {}", row.branch);
    }
}

#[test]
fn an_unbound_claim_without_volume_name() {
    check(&[
        Row {
            branch: "the smallest volume that fits is taken, in the order of writes volume, claim",
            volumes: &["pv1 20Gi RWO Available", "pv2 10Gi RWO Available", "pv3 5Gi RWO Available"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &[
                "pv1 Available",
                "pv2 ref=c1! by-controller Bound",
                "pv3 Available",
                "c1 volume=pv2 completed by-controller Bound cap=10Gi",
            ],
            events: &[],
        },
        Row {
            branch: "exact size fits, one byte less does not",
            volumes: &["pv1 8589934591 RWO Available", "pv2 8589934592 RWO Available"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &[
                "pv1 Available",
                "pv2 ref=c1! by-controller Bound",
                "c1 volume=pv2 completed by-controller Bound cap=8Gi",
            ],
            events: &[],
        },
        Row {
            branch: "sizes beyond int64 are compared exactly",
            volumes: &["pv1 800E RWO Available", "pv2 950E RWO Available"],
            claims: &["c1 900E RWO"],
            sync: "claim c1",
            after: &[
                "pv1 Available",
                "pv2 ref=c1! by-controller Bound",
                "c1 volume=pv2 completed by-controller Bound cap=927734375000000000Ki",
            ],
            events: &[],
        },
        Row {
            branch: "the set with fewest modes wins over a smaller volume",
            volumes: &["pv1 10Gi RWO,ROX Available", "pv2 1Ti RWO Available"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &[
                "pv1 Available",
                "pv2 ref=c1! by-controller Bound",
                "c1 volume=pv2 completed by-controller Bound cap=1Ti",
            ],
            events: &[],
        },
        Row {
            branch: "a set without the requested modes is not looked at, sets of one size go by name",
            volumes: &["pv1 10Gi ROX Available", "pv2 30Gi RWO,RWX Available", "pv3 20Gi RWO,ROX Available"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &[
                "pv1 Available",
                "pv2 Available",
                "pv3 ref=c1! by-controller Bound",
                "c1 volume=pv3 completed by-controller Bound cap=20Gi",
            ],
            events: &[],
        },
        Row {
            branch: "what does not qualify: phase, class, mode, attributes, deletion, another's, selector",
            volumes: &[
                "pv1 10Gi RWO Pending",
                "pv2 10Gi RWO Released",
                "pv3 10Gi RWO Failed",
                "pv4 10Gi RWO class=wffc Available",
                "pv5 10Gi RWO block Available",
                "pv6 10Gi RWO attr=gold Available",
                "pv7 10Gi RWO Available deleting",
                "pv8 10Gi RWO ref=other Available",
                "pv9 10Gi RWO label=disk:hdd Available",
                "pw1 90Gi RWO label=disk:ssd Available",
            ],
            claims: &["c1 8Gi RWO sel=disk:ssd"],
            sync: "claim c1",
            after: &[
                "pv1 Pending",
                "pv2 Released",
                "pv3 Failed",
                "pv4 Available",
                "pv5 Available",
                "pv6 Available",
                "pv7 Available",
                "pv8 ref=other Available",
                "pv9 Available",
                "pw1 ref=c1! by-controller Bound",
                "c1 volume=pw1 completed by-controller Bound cap=90Gi",
            ],
            events: &[],
        },
        Row {
            branch: "an empty selector is none",
            volumes: &["pv1 10Gi RWO Available"],
            claims: &["c1 8Gi RWO sel=everything"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1! by-controller Bound",
                "c1 volume=pv1 completed by-controller Bound cap=10Gi",
            ],
            events: &[],
        },
        Row {
            branch: "a volume reserved for the claim wins, whatever its class, selector and phase; its mark stays away",
            volumes: &["pv1 9Gi RWO Available", "pv2 50Gi RWO class=wffc ref=c1 Pending"],
            claims: &["c1 8Gi RWO sel=disk:ssd"],
            sync: "claim c1",
            after: &[
                "pv1 Available",
                "pv2 ref=c1! Bound",
                "c1 volume=pv2 completed by-controller Bound cap=50Gi",
            ],
            events: &[],
        },
        Row {
            branch: "a reserved volume that is too small is passed over",
            volumes: &["pv1 5Gi RWO ref=c1 Available", "pv2 50Gi RWO Available"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1 Available",
                "pv2 ref=c1! by-controller Bound",
                "c1 volume=pv2 completed by-controller Bound cap=50Gi",
            ],
            events: &[],
        },
        Row {
            branch: "a reserved volume without the claim's access mode is passed over",
            volumes: &["pv1 50Gi ROX ref=c1 Available"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &["pv1 ref=c1 Available", "c1 Pending"],
            events: &[
                "c1 Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner",
            ],
        },
        Row {
            branch: "a volume whose claimRef has another uid is another's",
            volumes: &["pv1 50Gi RWO ref=c1? Released"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &["pv1 ref=c1? Released", "c1 Pending"],
            events: &[
                "c1 Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner",
            ],
        },
        Row {
            branch: "a half-written binding is completed: the volume names the claim already",
            volumes: &["pv1 50Gi RWO ref=c1! by-controller Available", "pv2 10Gi RWO Available"],
            claims: &["c1 8Gi RWO"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1! by-controller Bound",
                "pv2 Available",
                "c1 volume=pv1 completed by-controller Bound cap=50Gi",
            ],
            events: &[],
        },
        Row {
            branch: "no volume, no class object",
            volumes: &[],
            claims: &["c1 8Gi RWO class=nosuch"],
            sync: "claim c1",
            after: &["c1 Pending"],
            events: &["c1 Warning ProvisioningFailed: storageclass.storage.k8s.io \"nosuch\" not found"],
        },
        Row {
            branch: "volumes of a class without object are bound like Immediate ones",
            volumes: &["pv1 10Gi RWO class=nosuch Available"],
            claims: &["c1 8Gi RWO class=nosuch"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1! by-controller Bound",
                "c1 volume=pv1 completed by-controller Bound cap=10Gi",
            ],
            events: &[],
        },
        Row {
            branch: "no volume, no class",
            volumes: &["pv1 10Gi RWO Available"],
            claims: &["c1 8Gi RWO class=-"],
            sync: "claim c1",
            after: &["pv1 Available", "c1 Pending"],
            events: &[
                "c1 Normal FailedBinding: no persistent volumes available for this claim and no storage class is set",
            ],
        },
        Row {
            branch: "no class and a volume without class; nil and empty are the same without default class",
            volumes: &["pv1 10Gi RWO class=- Available"],
            claims: &["c1 8Gi RWO class=nil"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1! by-controller Bound",
                "c1 volume=pv1 completed by-controller Bound cap=10Gi",
            ],
            events: &[],
        },
        Row {
            branch: "an external provisioner is asked",
            volumes: &[],
            claims: &["c1 8Gi RWO class=dyn"],
            sync: "claim c1",
            after: &["c1 prov=csi.example Pending"],
            events: &[
                "c1 Normal ExternalProvisioning: Waiting for a volume to be created either by the external provisioner \
                 'csi.example' or manually by the system administrator. If volume creation is delayed, please verify that \
                 the provisioner is running and correctly registered.",
            ],
        },
        Row {
            branch: "a Lost claim whose marks were removed is Pending again",
            volumes: &[],
            claims: &["c1 8Gi RWO class=- Lost cap=10Gi"],
            sync: "claim c1",
            after: &["c1 Pending"],
            events: &[
                "c1 Normal FailedBinding: no persistent volumes available for this claim and no storage class is set",
            ],
        },
    ]);
}

#[test]
fn a_claim_that_waits_for_its_first_consumer() {
    check(&[
        Row {
            branch: "free volumes are left alone",
            volumes: &["pv1 10Gi RWO class=wffc Available"],
            claims: &["c1 8Gi RWO class=wffc"],
            sync: "claim c1",
            after: &["pv1 Available", "c1 Pending"],
            events: &[
                "c1 Normal WaitForFirstConsumer: waiting for first consumer to be created before binding",
            ],
        },
        Row {
            branch: "a volume reserved for it is bound without any pod",
            volumes: &["pv1 10Gi RWO class=wffc ref=c1 Available"],
            claims: &["c1 8Gi RWO class=wffc"],
            sync: "claim c1",
            after: &["pv1 ref=c1! Bound", "c1 volume=pv1 completed by-controller Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "the scheduler has written its choice",
            volumes: &["pv1 10Gi RWO class=wffc ref=c1! by-controller Available"],
            claims: &["c1 8Gi RWO class=wffc"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1! by-controller Bound",
                "c1 volume=pv1 completed by-controller Bound cap=10Gi",
            ],
            events: &[],
        },
        Row {
            branch: "a selected node does not help a class without provisioner",
            volumes: &["pv1 10Gi RWO class=wffc Available"],
            claims: &["c1 8Gi RWO class=wffc node=n1"],
            sync: "claim c1",
            after: &["pv1 Available", "c1 node=n1 Pending"],
            events: &[
                "c1 Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner",
            ],
        },
        Row {
            branch: "a selected node lets the external provisioner begin",
            volumes: &[],
            claims: &["c1 8Gi RWO class=dynw node=n1 prov=csi.example"],
            sync: "claim c1",
            after: &["c1 node=n1 prov=csi.example Pending"],
            events: &[
                "c1 Normal ExternalProvisioning: Waiting for a volume to be created either by the external provisioner \
                 'csi.example' or manually by the system administrator. If volume creation is delayed, please verify that \
                 the provisioner is running and correctly registered.",
            ],
        },
    ]);
}

#[test]
fn a_waiting_claim_names_the_pods_that_use_it() {
    let row = Row {
        branch: "",
        volumes: &[],
        claims: &["c1 8Gi RWO class=wffc"],
        sync: "claim c1",
        after: &[],
        events: &[],
    };
    let one = run(&row, |f| {
        f.pod("web-0", &["c1"]);
    });
    assert_eq!(one.1, ["c1 Normal WaitForPodScheduled: waiting for pod web-0 to be scheduled"]);
    let two = run(&row, |f| {
        f.pod("a", &["c1"]);
        f.pod("b", &["c1"]);
    });
    assert_eq!(two.1, ["c1 Normal WaitForPodScheduled: waiting for pods a,b to be scheduled"]);
    let assigned = run(&row, |f| {
        let (pod, node) = (f.pod("a", &["c1"]), f.node("n1", &[]));
        f.cluster.bind_pod(pod, node);
    });
    let first = ["c1 Normal WaitForFirstConsumer: waiting for first consumer to be created before binding"];
    assert_eq!(assigned.1, first, "a pod with a node does not count");
}

#[test]
fn a_claim_without_class_gets_the_default_one() {
    let row = |volumes| Row {
        branch: "",
        volumes,
        claims: &["c1 8Gi RWO class=nil"],
        sync: "claim c1",
        after: &[],
        events: &[],
    };
    let default = |name: &'static str, created: u64| {
        move |f: &mut Fixture| {
            f.change_class(name, |class| {
                class.is_default = true;
                class.created = crate::engine::time::SimTime::from_secs(created);
            });
        }
    };
    let (after, _) = run(&row(&["pv1 10Gi RWO class=- Available"]), default("dyn", 0));
    assert_eq!(after[1], "c1 volume=pv1 completed by-controller Bound cap=10Gi", "a class-less volume first");
    let (after, _) = run(&row(&["pv1 10Gi RWO class=imm Available"]), default("imm", 0));
    assert_eq!(
        after[1], "c1 volume=pv1 completed by-controller Bound cap=10Gi",
        "then one of the default class"
    );
    let (after, _) = run(&row(&[]), |f| {
        default("imm", 5)(f);
        default("dyn", 9)(f);
    });
    assert_eq!(after, ["c1 prov=csi.example Pending"], "the newest default class counts");
    let (after, _) = run(&row(&[]), |f| {
        default("imm", 9)(f);
        default("dyn", 9)(f);
    });
    assert_eq!(after, ["c1 prov=csi.example Pending"], "of equally old ones the first by name");
}

#[test]
fn an_unbound_claim_that_names_its_volume() {
    let mismatch = |why| format!("c1 Warning VolumeMismatch: Cannot bind to requested volume \"pv1\": {why}");
    for (volume, why) in [
        ("pv1 5Gi RWO Available", "requested PV is too small"),
        ("pv1 10Gi RWO class=wffc Available", "storageClassName does not match"),
        ("pv1 10Gi RWO attr=gold Available", "volumeAttributesClassName does not match"),
        ("pv1 10Gi RWO block Available", "incompatible volumeMode"),
        ("pv1 10Gi ROX Available", "incompatible accessMode"),
        ("pv1 10Gi RWO Available deleting", "the volume is marked for deletion \"pv1\""),
    ] {
        let mut fixture = Fixture::new();
        fixture.volume(volume);
        let claim = fixture.claim("c1 8Gi RWO volume=pv1");
        let mut out = PvOutput::default();
        assert!(!sync_and_write(&mut fixture.cluster, PvKey::Claim(claim), &mut out), "{volume}");
        let message = out.events[0].message(&fixture.cluster);
        assert_eq!(format!("c1 Warning {}: {message}", out.events[0].reason()), mismatch(why), "{volume}");
    }
    check(&[
        Row {
            branch: "the volume does not exist",
            volumes: &[],
            claims: &["c1 8Gi RWO volume=pv1"],
            sync: "claim c1",
            after: &["c1 volume=pv1 Pending"],
            events: &[],
        },
        Row {
            branch: "the volume is free, whatever its phase, and the selector is not looked at",
            volumes: &["pv1 10Gi RWO Pending"],
            claims: &["c1 8Gi RWO volume=pv1 sel=disk:ssd"],
            sync: "claim c1",
            after: &["pv1 ref=c1! by-controller Bound", "c1 volume=pv1 completed Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "also a claim that waits for its first consumer",
            volumes: &["pv1 10Gi RWO class=wffc Available"],
            claims: &["c1 8Gi RWO class=wffc volume=pv1"],
            sync: "claim c1",
            after: &["pv1 ref=c1! by-controller Bound", "c1 volume=pv1 completed Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "the volume is reserved for the claim: nothing is checked any more",
            volumes: &["pv1 1Gi ROX class=wffc ref=c1 Available"],
            claims: &["c1 8Gi RWO volume=pv1"],
            sync: "claim c1",
            after: &["pv1 ref=c1! Bound", "c1 volume=pv1 completed Bound cap=1Gi"],
            events: &[],
        },
        Row {
            branch: "the volume is another claim's",
            volumes: &["pv1 10Gi RWO ref=c2 Available"],
            claims: &["c1 8Gi RWO volume=pv1"],
            sync: "claim c1",
            after: &["pv1 ref=c2 Available", "c1 volume=pv1 Pending"],
            events: &["c1 Warning FailedBinding: volume \"pv1\" already bound to a different claim."],
        },
        Row {
            branch: "the volume is another claim's although the controller had bound it",
            volumes: &["pv1 10Gi RWO ref=c2 Bound"],
            claims: &["c1 8Gi RWO volume=pv1 by-controller"],
            sync: "claim c1",
            after: &["pv1 ref=c2 Bound", "c1 volume=pv1 by-controller Pending"],
            events: &["c1 Warning FailedBinding: volume \"pv1\" already bound to a different claim."],
        },
    ]);
}

#[test]
fn a_bound_claim() {
    check(&[
        Row {
            branch: "all is well",
            volumes: &["pv1 10Gi RWO ref=c1! by-controller Bound"],
            claims: &["c1 8Gi RWO volume=pv1 completed by-controller Bound cap=10Gi"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1! by-controller Bound",
                "c1 volume=pv1 completed by-controller Bound cap=10Gi",
            ],
            events: &[],
        },
        Row {
            branch: "phases are completed",
            volumes: &["pv1 10Gi RWO ref=c1! by-controller Available"],
            claims: &["c1 8Gi RWO volume=pv1 completed Pending"],
            sync: "claim c1",
            after: &["pv1 ref=c1! by-controller Bound", "c1 volume=pv1 completed Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "the volume came unbound",
            volumes: &["pv1 10Gi RWO Available"],
            claims: &["c1 8Gi RWO volume=pv1 completed by-controller Bound cap=10Gi"],
            sync: "claim c1",
            after: &[
                "pv1 ref=c1! by-controller Bound",
                "c1 volume=pv1 completed by-controller Bound cap=10Gi",
            ],
            events: &[],
        },
        Row {
            branch: "the reference to the volume was removed",
            volumes: &[],
            claims: &["c1 8Gi RWO completed Bound cap=10Gi"],
            sync: "claim c1",
            after: &["c1 completed Lost"],
            events: &[
                "c1 Warning ClaimLost: Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
            ],
        },
        Row {
            branch: "the volume is gone",
            volumes: &[],
            claims: &["c1 8Gi RWO volume=pv1 completed Bound cap=10Gi"],
            sync: "claim c1",
            after: &["c1 volume=pv1 completed Lost"],
            events: &[
                "c1 Warning ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!",
            ],
        },
        Row {
            branch: "Lost is said once",
            volumes: &[],
            claims: &["c1 8Gi RWO volume=pv1 completed Lost"],
            sync: "claim c1",
            after: &["c1 volume=pv1 completed Lost"],
            events: &[],
        },
        Row {
            branch: "the volume is another claim's",
            volumes: &["pv1 10Gi RWO ref=c2! Bound"],
            claims: &["c1 8Gi RWO volume=pv1 completed Bound cap=10Gi"],
            sync: "claim c1",
            after: &["pv1 ref=c2! Bound", "c1 volume=pv1 completed Lost"],
            events: &[
                "c1 Warning ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly",
            ],
        },
        Row {
            branch: "a reference without uid counts as another's once the claim was bound",
            volumes: &["pv1 10Gi RWO ref=c1 Bound"],
            claims: &["c1 8Gi RWO volume=pv1 completed Bound cap=10Gi"],
            sync: "claim c1",
            after: &["pv1 ref=c1 Bound", "c1 volume=pv1 completed Lost"],
            events: &[
                "c1 Warning ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly",
            ],
        },
    ]);
}

#[test]
fn a_volume() {
    check(&[
        Row {
            branch: "new",
            volumes: &["pv1 10Gi RWO"],
            claims: &[],
            sync: "volume pv1",
            after: &["pv1 Available"],
            events: &[],
        },
        Row {
            branch: "its claimRef was cleared: Available again, from any phase",
            volumes: &["pv1 10Gi RWO by-controller Failed"],
            claims: &[],
            sync: "volume pv1",
            after: &["pv1 by-controller Available"],
            events: &[],
        },
        Row {
            branch: "reserved for a claim that does not exist",
            volumes: &["pv1 10Gi RWO ref=c1 Pending"],
            claims: &[],
            sync: "volume pv1",
            after: &["pv1 ref=c1 Available"],
            events: &[],
        },
        Row {
            branch: "reserved for a claim that exists: that claim's sync binds it",
            volumes: &["pv1 10Gi RWO ref=c1 Pending"],
            claims: &["c1 8Gi RWO"],
            sync: "volume pv1",
            after: &["pv1 ref=c1 Available", "c1 Pending"],
            events: &[],
        },
        Row {
            branch: "its claim does not name it yet",
            volumes: &["pv1 10Gi RWO ref=c1! by-controller Available"],
            claims: &["c1 8Gi RWO"],
            sync: "volume pv1",
            after: &["pv1 ref=c1! by-controller Available", "c1 Pending", "enqueue default/c1"],
            events: &[],
        },
        Row {
            branch: "its claim has another volume mode",
            volumes: &["pv1 10Gi RWO block ref=c1! Available"],
            claims: &["c1 8Gi RWO"],
            sync: "volume pv1",
            after: &["pv1 ref=c1! Available", "c1 Pending"],
            events: &[
                "pv1 Warning VolumeMismatch: Cannot bind PersistentVolume to requested PersistentVolumeClaim \"c1\" due to \
                 incompatible volumeMode.",
                "c1 Warning VolumeMismatch: Cannot bind PersistentVolume \"pv1\" to requested PersistentVolumeClaim due to \
                 incompatible volumeMode.",
            ],
        },
        Row {
            branch: "bound properly",
            volumes: &["pv1 10Gi RWO ref=c1! Available"],
            claims: &["c1 8Gi RWO volume=pv1 completed Bound cap=10Gi"],
            sync: "volume pv1",
            after: &["pv1 ref=c1! Bound", "c1 volume=pv1 completed Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "its claim has another volume; the controller had bound it",
            volumes: &["pv1 10Gi RWO ref=c1! by-controller Bound"],
            claims: &["c1 8Gi RWO volume=pv2 completed Bound cap=10Gi"],
            sync: "volume pv1",
            after: &["pv1 Available", "c1 volume=pv2 completed Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "its claim has another volume; a person had bound it: reserved still",
            volumes: &["pv1 10Gi RWO ref=c1! Bound"],
            claims: &["c1 8Gi RWO volume=pv2 completed Bound cap=10Gi"],
            sync: "volume pv1",
            after: &["pv1 ref=c1 Available", "c1 volume=pv2 completed Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "made for a claim that has another volume, policy Delete: given to the external deleter",
            volumes: &["pv1 10Gi RWO Delete csi by=csi.example ref=c1! Bound"],
            claims: &["c1 8Gi RWO volume=pv2 completed Bound cap=10Gi"],
            sync: "volume pv1",
            after: &["pv1 ref=c1! Released", "c1 volume=pv2 completed Bound cap=10Gi"],
            events: &[],
        },
        Row {
            branch: "made for a claim that has another volume, policy Retain: reserved still",
            volumes: &["pv1 10Gi RWO csi by=csi.example ref=c1! Bound"],
            claims: &["c1 8Gi RWO volume=pv2 completed Bound cap=10Gi"],
            sync: "volume pv1",
            after: &["pv1 ref=c1 Available", "c1 volume=pv2 completed Bound cap=10Gi"],
            events: &[],
        },
    ]);
}

#[test]
fn a_volume_whose_claim_is_gone() {
    let failed = "VolumeFailedDelete: error getting deleter volume plugin for volume \"pv1\": no volume plugin matched";
    let no_recycler = "VolumeFailedRecycle: No recycler plugin found for the volume!";
    let rows: &[(&str, &str, Option<String>)] = &[
        ("pv1 10Gi RWO ref=c1! Bound", "pv1 ref=c1! Released", None),
        ("pv1 10Gi RWO ref=c1! by-controller Available", "pv1 ref=c1! by-controller Released", None),
        ("pv1 10Gi RWO ref=c1! Failed", "pv1 ref=c1! Failed", None),
        ("pv1 10Gi RWO Delete ref=c1! Bound", "pv1 ref=c1! Failed", Some(format!("pv1 Warning {failed}"))),
        ("pv1 10Gi RWO Delete ref=c1! Failed", "pv1 ref=c1! Failed", None),
        ("pv1 10Gi RWO Delete csi ref=c1! Bound", "pv1 ref=c1! Released", None),
        ("pv1 10Gi RWO Delete by=local-volume-provisioner ref=c1! Bound", "pv1 ref=c1! Released", None),
        (
            "pv1 10Gi RWO Delete by=kubernetes.io/gone ref=c1! Bound",
            "pv1 ref=c1! Failed",
            Some(
                "pv1 Warning VolumeFailedDelete: no volume plugin matched name: kubernetes.io/gone"
                    .to_owned(),
            ),
        ),
        (
            "pv1 10Gi RWO Recycle ref=c1! Bound",
            "pv1 ref=c1! Failed",
            Some(format!("pv1 Warning {no_recycler}")),
        ),
        (
            "pv1 10Gi RWO Recycle other ref=c1! by-controller Bound",
            "pv1 Available",
            Some("pv1 Normal VolumeRecycled: Volume recycled".to_owned()),
        ),
        (
            "pv1 10Gi RWO Recycle other ref=c1! Bound",
            "pv1 ref=c1 Available",
            Some("pv1 Normal VolumeRecycled: Volume recycled".to_owned()),
        ),
    ];
    for (before, after, event) in rows {
        // Gone, or another claim of the same name.
        for claims in [&[][..], &["c1 8Gi RWO"]] {
            let before = if claims.is_empty() { before.to_string() } else { before.replace("c1!", "c1?") };
            let after = if claims.is_empty() { after.to_string() } else { after.replace("c1!", "c1?") };
            let mut fixture = Fixture::new();
            let volume = fixture.volume(&before);
            for words in claims {
                fixture.claim(words);
            }
            let mut out = PvOutput::default();
            sync_and_write(&mut fixture.cluster, PvKey::Volume(volume), &mut out);
            assert_eq!(fixture.show_volume(volume), after, "{before}");
            let events: Vec<String> = out
                .events
                .iter()
                .map(|e| {
                    let kind = if e.is_warning() { "Warning" } else { "Normal" };
                    format!("pv1 {kind} {}: {}", e.reason(), e.message(&fixture.cluster))
                })
                .collect();
            assert_eq!(events, event.iter().cloned().collect::<Vec<_>>(), "{before}");
        }
    }
}

#[test]
fn a_volume_is_not_recycled_under_a_pod() {
    let row = Row {
        branch: "",
        volumes: &["pv1 10Gi RWO Recycle other ref=c1! Bound"],
        claims: &[],
        sync: "volume pv1",
        after: &[],
        events: &[],
    };
    let (after, events) = run(&row, |f| {
        f.pod("web-0", &["c1"]);
    });
    assert_eq!(after, ["pv1 ref=c1! Released"]);
    assert_eq!(events, ["pv1 Normal VolumeFailedRecycle: Volume is used by pods: default/web-0"]);
}

#[test]
fn writes_come_one_at_a_time_in_the_recorded_order() {
    let mut fixture = Fixture::new();
    let volume = fixture.volume("pv1 10Gi RWO Available");
    let claim = fixture.claim("c1 8Gi RWO");
    let (mut key, mut seen) = (PvKey::Claim(claim), Vec::new());
    while let Step::Write { write, then } = sync(&fixture.cluster, key, &mut PvOutput::default()) {
        apply(&mut fixture.cluster, &write).expect("nobody else writes");
        seen.push(format!("{}; {}", fixture.show_volume(volume), fixture.show_claim(claim)));
        key = then;
        // A smaller volume that comes in between does not change what was begun.
        if seen.len() == 1 {
            fixture.volume("pv0 9Gi RWO Available");
        }
    }
    assert_eq!(
        seen,
        [
            "pv1 ref=c1! by-controller Available; c1 Pending",
            "pv1 ref=c1! by-controller Bound; c1 Pending",
            "pv1 ref=c1! by-controller Bound; c1 volume=pv1 completed by-controller Pending",
            "pv1 ref=c1! by-controller Bound; c1 volume=pv1 completed by-controller Bound cap=10Gi",
        ]
    );
}

#[test]
fn a_late_write_is_refused() {
    let mut fixture = Fixture::new();
    let volume = fixture.volume("pv1 10Gi RWO Available");
    let claim = fixture.claim("c1 8Gi RWO");
    let step = sync(&fixture.cluster, PvKey::Claim(claim), &mut PvOutput::default());
    let Step::Write { write, .. } = step else { panic!("{step:?}") };
    fixture.cluster.update_volume(volume, |v| v.reclaim = crate::model::volume::ReclaimPolicy::Delete);
    assert_eq!(apply(&mut fixture.cluster, &write), Err(WriteError::Conflict));
    fixture.cluster.remove_volume(volume);
    assert_eq!(apply(&mut fixture.cluster, &write), Err(WriteError::NotFound));
    assert_eq!(fixture.show_claim(claim), "c1 Pending");
}

/// Runs the controller as the world does: changes are noted until nothing happens.
fn settle(fixture: &mut Fixture, controller: &mut PvController) {
    let mut changes = Vec::new();
    loop {
        fixture.cluster.take_changes(&mut changes);
        if changes.is_empty() {
            return;
        }
        for change in &changes {
            controller.note(&fixture.cluster, change);
        }
        controller.run(&mut fixture.cluster, &mut Vec::new());
    }
}

#[test]
fn a_new_volume_wakes_waiting_claims_only_at_the_resync() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(false);
    let first = fixture.claim("c1 8Gi RWO");
    let second = fixture.claim("c2 8Gi RWO");
    settle(&mut fixture, &mut controller);
    assert!(!controller.wants_resync(), "nothing that a resync would find");
    fixture.volume("pv1 10Gi RWO");
    settle(&mut fixture, &mut controller);
    assert_eq!(fixture.show_claim(first), "c1 Pending");
    assert!(controller.wants_resync());
    controller.resync(&fixture.cluster, false);
    controller.run(&mut fixture.cluster, &mut Vec::new());
    settle(&mut fixture, &mut controller);
    assert_eq!(fixture.show_claim(first), "c1 volume=pv1 completed by-controller Bound cap=10Gi");
    assert_eq!(fixture.show_claim(second), "c2 Pending");
    assert!(!controller.wants_resync());
}

#[test]
fn an_ideal_control_plane_resyncs_in_the_same_instant() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(true);
    let names = ["c1", "c2", "c3"];
    let claims = [fixture.claim("c1 30Gi RWO"), fixture.claim("c2 8Gi RWO"), fixture.claim("c3 8Gi RWO")];
    settle(&mut fixture, &mut controller);
    fixture.volume("pv1 10Gi RWO");
    fixture.volume("pv2 20Gi RWO");
    settle(&mut fixture, &mut controller);
    let bound = |f: &Fixture| -> Vec<String> {
        let volume =
            |id: &ClaimId| f.cluster.claim(*id).volume_name.map(|v| f.cluster.names.text(v).to_owned());
        claims.iter().zip(names).map(|(id, n)| format!("{n} {}", volume(id).unwrap_or_default())).collect()
    };
    assert_eq!(bound(&fixture), ["c1 ", "c2 pv1", "c3 pv2"], "in order of arrival, those that fit");
    fixture.volume("pv3 40Gi RWO");
    settle(&mut fixture, &mut controller);
    assert_eq!(bound(&fixture), ["c1 pv3", "c2 pv1", "c3 pv2"]);
}

#[test]
fn deletions_wake_the_other_side() {
    let mut fixture = Fixture::new();
    let mut controller = PvController::new(false);
    let volume = fixture.volume("pv1 10Gi RWO");
    let other = fixture.volume("pv2 10Gi RWO");
    let (first, second) = (fixture.claim("c1 8Gi RWO volume=pv1"), fixture.claim("c2 8Gi RWO volume=pv2"));
    settle(&mut fixture, &mut controller);
    fixture.cluster.remove_claim(first);
    fixture.cluster.remove_volume(other);
    settle(&mut fixture, &mut controller);
    assert_eq!(fixture.show_volume(volume), "pv1 ref=c1! by-controller Released");
    assert_eq!(fixture.show_claim(second), "c2 volume=pv2 completed Lost");
}

#[test]
fn seeded_ties_are_fair_and_repeatable() {
    use crate::engine::rng::{Streams, TieBreak};
    let winner = |seed: u64| {
        let mut fixture = Fixture::new();
        fixture.cluster.set_volume_tie_break(TieBreak::Seeded(Streams::new(seed, 0)));
        for name in ["pv1", "pv2", "pv3"] {
            fixture.volume(&format!("{name} 10Gi RWO Available"));
        }
        let claim = fixture.claim("c1 8Gi RWO");
        sync_and_write(&mut fixture.cluster, PvKey::Claim(claim), &mut PvOutput::default());
        fixture.cluster.claim(claim).volume_name.map(|v| fixture.cluster.names.text(v).to_owned())
    };
    let mut wins = std::collections::BTreeMap::<Option<String>, u32>::new();
    for seed in 0..300 {
        assert_eq!(winner(seed), winner(seed));
        *wins.entry(winner(seed)).or_default() += 1;
    }
    // Each of the three should win 100 times; the standard deviation is 8.2.
    assert!(wins.len() == 3 && wins.values().all(|n| (67..=133).contains(n)), "{wins:?}");
}
