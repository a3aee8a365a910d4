//! Rows about claims.

use super::*;

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
                "c1 volume=pv2 completed by-controller Bound cap=950000000000000000000",
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
