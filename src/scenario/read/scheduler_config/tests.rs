use super::*;
use crate::scenario::{LoadOptions, Loaded, ScenarioFile};

/// A scenario that names a configuration file with this text.
fn load(config: &str, scheduler: &str) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("k.yaml"), config).expect("a file");
    let text = format!("version: 1\nname: s\nscheduler: {{config: k.yaml{scheduler}}}\n");
    let file = ScenarioFile::from_text("s.yaml", text, dir.path(), &LoadOptions::default());
    file.and_then(|f| f.resolve(&[])).map_err(|e| e.to_string())
}

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

const FULL: &str = "
percentageOfNodesToScore: 30
parallelism: 8
podInitialBackoffSeconds: 2
podMaxBackoffSeconds: 20
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: /etc/x, qps: 100, burst: 200}
profiles:
- schedulerName: default-scheduler
  plugins:
    multiPoint:
      enabled: [{name: NodeResourcesFit, weight: 5}]
      disabled: [{name: ImageLocality}]
    score:
      disabled: [{name: '*'}]
      enabled: [{name: TaintToleration}]
  pluginConfig:
  - name: NodeResourcesFit
    args:
      apiVersion: kubescheduler.config.k8s.io/v1
      kind: NodeResourcesFitArgs
      ignoredResourceGroups: [example.com]
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: cpu, weight: 3}, {name: memory}]
        requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}
  - name: VolumeBinding
    args: {bindTimeoutSeconds: 30}
  - name: InterPodAffinity
    args: {hardPodAffinityWeight: 7}
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
  - name: NodeAffinity
    args: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
  - name: DefaultPreemption
    args: {minCandidateNodesPercentage: 5}
- schedulerName: packer
";

#[test]
fn a_configuration_as_users_have_it() {
    let loaded = load(&format!("{HEAD}{FULL}"), "").unwrap_or_else(|e| panic!("{e}"));
    let scenario = &loaded.scenario;
    let config = scenario.scheduler.config.as_ref().expect("a configuration");
    assert_eq!(config.percentage_of_nodes_to_score, Some(30));
    let names: Vec<&str> = config.profiles.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["default-scheduler", "packer"]);
    let profile = &config.profiles[0];
    assert_eq!(profile.plugins.multi_point.enabled, [("NodeResourcesFit".to_owned(), Some(5))]);
    assert_eq!(profile.plugins.score.disabled, ["*"]);
    let fit = profile.args.node_resources_fit.as_ref().expect("fit");
    assert_eq!(fit.strategy, FitStrategy::RequestedToCapacityRatio(vec![(0, 0), (100, 10)]));
    assert_eq!(fit.resources, [("cpu".to_owned(), 3), ("memory".to_owned(), 1)]);
    assert_eq!(profile.args.bind_timeout, Some(SimDuration::from_secs(30)));
    assert_eq!(profile.args.inter_pod_affinity, Some((7, false)));
    assert_eq!(profile.args.default_preemption, Some((5, 100)));
    let spread = profile.args.pod_topology_spread.clone().flatten();
    assert_eq!(spread.map(|c| c.len()), Some(1));
    assert!(profile.args.node_affinity.is_some());
    assert_eq!(scenario.control_plane.backoff_initial, SimDuration::from_secs(2));
    assert_eq!(scenario.control_plane.backoff_max, SimDuration::from_secs(20));
}

#[test]
fn the_shortest_configuration_is_the_default() {
    let loaded = load(HEAD, "").unwrap_or_else(|e| panic!("{e}"));
    let config = loaded.scenario.scheduler.config.expect("a configuration");
    assert_eq!(config.profiles.len(), 1);
    assert_eq!(config.profiles[0].name, "default-scheduler");
    assert_eq!(config.profiles[0].plugins, PluginLists::default());
}

#[test]
fn mistakes_have_a_place_in_the_configuration() {
    let profile = |inner: &str| format!("{HEAD}profiles:\n- {inner}\n");
    let args = |name: &str, args: &str| profile(&format!("pluginConfig: [{{name: {name}, args: {args}}}]"));
    for (text, want) in [
        (String::new(), "found 0 documents"),
        ("kind: KubeSchedulerConfiguration\n".to_owned(), "lacks the key `apiVersion`"),
        (HEAD.replace("/v1\n", "/v1beta3\n"), "expected kubescheduler.config.k8s.io/v1"),
        (format!("{HEAD}profile: []\n"), "did you mean `profiles`?"),
        (format!("{HEAD}percentageOfNodesToScore: 101\n"), "k.yaml:3:27"),
        (format!("{HEAD}podMaxBackoffSeconds: 0\n"), "k.yaml:3:23"),
        (format!("{HEAD}podInitialBackoffSeconds: 60\n"), "podMaxBackoffSeconds is below"),
        (
            format!("{HEAD}extenders: [{{urlPrefix: 'http://x'}}]\n"),
            "not implemented yet: scheduler.config extenders",
        ),
        (
            profile("plugins: {filter: {enabled: [{name: NodeResourceFit}]}}"),
            "did you mean `NodeResourcesFit`?",
        ),
        (profile("plugins: {filters: {}}"), "did you mean `filter`?"),
        (profile("plugins: {filter: {enabled: [{name: NodeName}, {name: NodeName}]}}"), "enabled twice"),
        (format!("{HEAD}profiles: [{{}}, {{}}]\n"), "has no schedulerName"),
        (
            format!("{HEAD}profiles: [{{schedulerName: a}}, {{schedulerName: a}}]\n"),
            "two profiles are named `a`",
        ),
        (args("InterPodAffinity", "{hardPodAffinityWeight: 101}"), "expected 0 .. 100"),
        (
            args("DefaultPreemption", "{minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}"),
            "both minimums",
        ),
        (args("VolumeBinding", "{bindTimeoutSeconds: -1}"), "bindTimeoutSeconds"),
        (args("VolumeBinding", "{shape: [{utilization: 0, score: 0}]}"), "needs the feature gate"),
        (
            args("NodeResourcesFit", "{scoringStrategy: {type: MostAllocatd}}"),
            "did you mean `MostAllocated`?",
        ),
        (
            args("NodeResourcesFit", "{scoringStrategy: {type: RequestedToCapacityRatio}}"),
            "goes with the type",
        ),
        (args("NodeResourcesFit", "{ignoredResourceGroups: [a/b]}"), "has no `/`"),
        (args("NodeResourcesBalancedAllocation", "{resources: [{name: cpu, weight: 2}]}"), "expected 0 .. 1"),
        (
            args(
                "PodTopologySpread",
                "{defaultConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: DoNotSchedule}]}",
            ),
            "need defaultingType: List",
        ),
        (args("NodeAffinity", "{addedAffinity: {required: {}}}"), "unknown field"),
        (args("NodeAffinity", "{kind: NodeNameArgs}"), "expected NodeAffinityArgs"),
        (args("EBSLimits", "{}"), "no longer part of kube-scheduler"),
        (args("NodeResourcesFit", "{scoringStrategy: {resources: []}}"), "lacks the key `type`"),
        (profile("plugins: {score: {enabled: [{name: NodeName}]}}"), "NodeName does not extend score"),
        (
            profile("plugins: {filter: {enabled: [{name: Coscheduling}]}}"),
            "there is no plugin `Coscheduling`",
        ),
        (profile("plugins: {multiPoint: {disabled: [{name: '*'}]}}"), "0 plugins are left at queueSort"),
        (
            profile("plugins: {multiPoint: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}]}}"),
            "0 plugins are left at bind",
        ),
        (profile("plugins: {bind: {disabled: [{name: DefaultBinder}]}}"), "wants at least one"),
    ] {
        match load(&text, "") {
            Ok(_) => panic!("accepted, wanted {want}: {text}"),
            Err(message) => {
                assert!(message.contains(want) && message.contains("k.yaml:"), "{want}: {message}")
            }
        }
    }
    let shape = args("VolumeBinding", "{shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}");
    assert!(load(&shape, ", featureGates: {StorageCapacityScoring: true}").is_ok());
}

#[test]
fn what_kube_scheduler_does_not_look_at_is_no_mistake() {
    let profile = |inner: &str| format!("{HEAD}profiles:\n- {inner}\n");
    for text in [
        profile("plugins: {score: {disabled: [{name: NodeResourcesLeastAllocated}]}}"),
        profile("pluginConfig: [{name: Coscheduling, args: {permitWaitingTimeSeconds: 10}}]"),
        profile(
            "pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu}, {name: cpu}]}}}]",
        ),
        profile(
            "plugins: {multiPoint: {disabled: [{name: '*'}], enabled: [{name: PrioritySort}, {name: DefaultBinder}, {name: NodeResourcesFit}]}}",
        ),
    ] {
        load(&text, "").unwrap_or_else(|e| panic!("{text}: {e}"));
    }
}

#[test]
fn weights_and_the_content_of_a_configuration_stand_in_the_scenario_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let text = "version: 1\nname: s\nscheduler:\n  weights: {NodeResourcesFit: 7, ImageLocality: 0}\n  config:\n    \
        apiVersion: kubescheduler.config.k8s.io/v1\n    kind: KubeSchedulerConfiguration\n    profiles:\n    - \
        pluginConfig:\n      - {name: NodeResourcesFit, args: {scoringStrategy: {type: LeastAllocated}}}\n";
    let file = ScenarioFile::from_text("s.yaml", text.to_owned(), dir.path(), &LoadOptions::default());
    let mut file = file.unwrap_or_else(|e| panic!("{e}"));
    let sets = [
        "scheduler.weights.NodeResourcesFit=9".to_owned(),
        "scheduler.config.profiles[0].pluginConfig[NodeResourcesFit].args.scoringStrategy.type=MostAllocated"
            .to_owned(),
    ];
    let sets = file.parse_sets(&sets).unwrap_or_else(|e| panic!("{e}"));
    let loaded = file.resolve(&sets).unwrap_or_else(|e| panic!("{e}"));
    let scheduler = &loaded.scenario.scheduler;
    assert_eq!(scheduler.weights.get("NodeResourcesFit"), Some(&9));
    assert_eq!(scheduler.weights.get("ImageLocality"), Some(&0));
    let config = scheduler.config.as_ref().expect("a configuration");
    let fit = config.profiles[0].args.node_resources_fit.as_ref().expect("arguments");
    assert_eq!(fit.strategy, FitStrategy::MostAllocated);
    let bad = text.replace("ImageLocality", "NodeName");
    let file = ScenarioFile::from_text("s.yaml", bad, dir.path(), &LoadOptions::default());
    let error = file.and_then(|f| f.resolve(&[])).map(|_| ()).map_err(|e| e.to_string());
    assert!(error.is_err_and(|e| e.contains("NodeName does not extend score")));
}
