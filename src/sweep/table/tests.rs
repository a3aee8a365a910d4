use super::*;
use crate::results::leaves::Leaf;
use crate::sweep::job::Metrics;
use crate::sweep::journal::Journal;
use crate::sweep::testing::study;

/// Two points, two replications, two variants with numbers to check by hand.
fn written(write: fn(&StudyFile, &mut Runs, &mut dyn Write) -> io::Result<()>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let header = study(2, 2).file(None);
    let mut journal = Journal::open(&path, &header, &mut |_, _| {}).unwrap();
    let metrics = |a: i128, b: Leaf| {
        Ok(Metrics {
            digest: "blake3:aa".into(),
            values: [("n.a".to_owned(), Leaf::Integer(a)), ("n.b".to_owned(), b)].into(),
            ..Metrics::default()
        })
    };
    let key = |point, replication, variant| JobKey { point, replication, variant };
    let runs = [
        (key(1, 0, 0), Err("no disk, \"db\"".to_owned())),
        (key(0, 1, 1), metrics(9, Leaf::Null)),
        (key(0, 0, 0), metrics(1, Leaf::Float(0.5))),
        (key(0, 1, 0), metrics(3, Leaf::Float(1.5))),
        (key(0, 0, 1), metrics(5, Leaf::Null)),
        (key(1, 1, 1), metrics(2, Leaf::Float(2.0))),
    ];
    journal.append(runs.iter().map(|(k, o)| (*k, o))).unwrap();
    let mut found = Runs::default();
    found.add(&path, journal.contents()).unwrap();
    let mut out = Vec::new();
    write(&header, &mut found, &mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_row_per_run_in_order() {
    let seed = replication_seed(42, 1);
    assert_eq!(
        written(write_sweep_csv),
        [
            "point,replication,variant,seed,x,digest,error,n.a,n.b".to_owned(),
            "0,0,a,42,0,blake3:aa,,1,0.5".to_owned(),
            "0,0,b,42,0,blake3:aa,,5,".to_owned(),
            format!("0,1,a,{seed},0,blake3:aa,,3,1.5"),
            format!("0,1,b,{seed},0,blake3:aa,,9,"),
            "1,0,a,42,1,,\"no disk, \"\"db\"\"\",,".to_owned(),
            format!("1,1,b,{seed},1,blake3:aa,,2,2.0"),
        ]
    );
}

#[test]
fn means_with_intervals_and_paired_differences() {
    // n.a of variant a at point 0: 1 and 3, mean 2, error 1, t(0.975, 1) = 12.7062; of b: 5 and 9, differences 4 and 6.
    let lines = written(write_summary_csv);
    assert_eq!(
        lines[0],
        "point,variant,x,metric,runs,mean,ci_low,ci_high,diff_mean,diff_ci_low,diff_ci_high"
    );
    let starts = [
        "0,a,0,n.a,2,2.0,-10.7062",
        "0,a,0,n.b,2,1.0,-5.35310",
        "0,b,0,n.a,2,7.0,-18.4124",
        "0,b,0,n.b,0,,,,,,",
        "1,a,1,n.a,0,,,,,,",
        "1,a,1,n.b,0,,,,,,",
        "1,b,1,n.a,1,2.0,,,,,",
        "1,b,1,n.b,1,2.0,,,,,",
    ];
    assert_eq!(lines.len(), starts.len() + 1);
    for (line, start) in lines[1..].iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    assert!(lines[1].ends_with(",14.7062047362,,,"), "{}", lines[1]);
    assert!(lines[3].contains(",5.0,-7.7062047") && lines[3].ends_with(",17.7062047362"), "{}", lines[3]);
}
