//! Rows about volumes.

use super::*;

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
