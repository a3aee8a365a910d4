//! The table itself.

use super::{Key, Type, key};
use Type::*;

const NODE_COUNT: Type = Int(0, 1_000_000);

/// A scenario.
pub const SCENARIO: &[Key] = &[
    key("version", Choice(&["1"]), "required", "version of the format"),
    key("name", Text, "required", "name of the scenario and of its folder under `results/`"),
    key("description", Text, "", "free text; not part of the digest"),
    key("seed", Int(0, u64::MAX), "0", "seed of every random choice"),
    key(
        "duration",
        Duration,
        "until nothing can change any more",
        "length of the run; needed by `failures` and endless arrivals",
    ),
    key(
        "controlPlane",
        OneOf(&[Choice(&["kubernetes", "ideal"]), Object(CONTROL_PLANE)]),
        "ideal, for now",
        "how long things take",
    ),
    key("scheduler", Object(SCHEDULER), "the default profile of Kubernetes 1.36", "how pods are placed"),
    key("cluster", Object(CLUSTER), "", "nodes, volumes, classes"),
    key("workload", Object(WORKLOAD), "", "what wants to run"),
    key("timeline", List(&Object(TIMELINE)), "", "changes by hand"),
    key("failures", Object(FAILURES), "", "random failures"),
    key("recovery", Object(RECOVERY), "", "what the database operator does about lost replicas"),
    key(
        "variants",
        List(&Object(VARIANT)),
        "immediate and wait-for-first-consumer",
        "what is compared; the first is the baseline",
    ),
    key("sweep", Object(SWEEP), "", "a parameter study"),
    key("plan", Object(PLAN), "", "the search for the smallest or cheapest cluster"),
    key("report", Object(REPORT), "", "what is measured"),
];

const CONTROL_PLANE: &[Key] = &[
    key(
        "preset",
        Choice(&["kubernetes", "ideal"]),
        "kubernetes",
        "where the values that are not given come from",
    ),
    key(
        "kcm",
        Object(&[
            key("qps", Number, "20", "requests per second of each controller; 0 = unlimited"),
            key("burst", Int(0, 1_000_000_000), "30", "burst"),
            key(
                "upFor",
                Duration,
                "0s",
                "how long it had been up at the start, where its periods are counted from",
            ),
        ]),
        "",
        "client limit of kube-controller-manager's controllers",
    ),
    key(
        "scheduler",
        Object(&[
            key("qps", Number, "50", "requests per second; 0 = unlimited"),
            key("burst", Int(0, 1_000_000_000), "100", "burst"),
            key(
                "upFor",
                Duration,
                "0s",
                "how long it had been up at the start, where its periods are counted from",
            ),
            key("bindPoll", Duration, "1s", "how often the scheduler looks whether its volumes are bound"),
            key("bindTimeout", Duration, "600s", "when it gives up"),
            key(
                "attempt",
                OneOf(&[Choice(&["zero", "measured"]), Duration]),
                "zero",
                "what one scheduling attempt takes",
            ),
        ]),
        "",
        "the scheduler's client and timers",
    ),
    key(
        "api",
        Object(&[
            key("latency", Duration, "5ms", "time of one request"),
            key("watch", Duration, "3ms", "time until a watch delivers a change"),
            key("conflict", Share, "0", "probability that a write conflicts"),
            key("fail", Share, "0", "probability that a write fails"),
        ]),
        "",
        "the API server",
    ),
    key("pvResync", Duration, "15s", "resync of the PV controller"),
    key(
        "backoff",
        Object(&[key("initial", Duration, "1s", "first"), key("max", Duration, "10s", "longest")]),
        "",
        "backoff of pods that could not be scheduled",
    ),
    key("unschedulableFlush", Duration, "5m", "longest stay in the unschedulable pool without an event"),
    key(
        "popFromBackoff",
        Bool,
        "true",
        "pods are taken from the backoff queue while the active one is empty",
    ),
    key(
        "node",
        Object(&[
            key("lease", Duration, "10s", "period of lease renewals"),
            key("monitor", Duration, "5s", "period of the node lifecycle controller"),
            key("grace", Duration, "50s", "silence after which a node is NotReady"),
            key("evictionRate", Number, "0.1", "nodes tainted NoExecute per second"),
            key(
                "tolerationSeconds",
                Int(0, 1_000_000_000),
                "300",
                "how long pods tolerate not-ready and unreachable by default",
            ),
        ]),
        "",
        "timers of node failure",
    ),
    key("podGC", Duration, "20s", "period of the pod garbage collector"),
    key(
        "kubelet",
        Object(&[
            key("start", Duration, "0s", "binding to Running"),
            key("stop", Duration, "0s", "deletion to gone"),
        ]),
        "",
        "kubelet",
    ),
    key(
        "csi",
        Object(&[
            key("provision", Duration, "1s", "from the scheduler's choice of a node to the volume"),
            key("delete", Duration, "1s", "from a volume's release to its end"),
            key("publish", Duration, "1s", "lag of the published CSIStorageCapacity"),
            key(
                "choose",
                Choice(&["binpack", "spread"]),
                "binpack",
                "the fullest or the emptiest of a node's groups",
            ),
        ]),
        "",
        "the driver of volume groups",
    ),
];

const SCHEDULER: &[Key] = &[
    key(
        "config",
        OneOf(&[File, Map(&Any)]),
        "",
        "a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1), or its content; what stands here beats it",
    ),
    key("featureGates", Map(&Bool), "", "StorageCapacityScoring, SchedulerPopFromBackoffQ"),
    key("percentageOfNodesToScore", Int(0, 100), "0", "0 = Kubernetes' adaptive default, 100 = all nodes"),
    key(
        "tieBreak",
        Choice(&["seeded", "first"]),
        "seeded",
        "equal choices: at random by the seed, or the first by name",
    ),
    key(
        "weights",
        Map(&Int(0, 1_000_000)),
        "",
        "weights of Score plugins by name, in every profile; 0 = does not score",
    ),
    key(
        "volumeBindingShape",
        List(&Object(SHAPE_POINT)),
        "",
        "shape of VolumeBinding's score; needs StorageCapacityScoring",
    ),
];

const SHAPE_POINT: &[Key] = &[
    key("utilization", Int(0, 100), "required", "percent; rising"),
    key("score", Int(0, 10), "required", "score there"),
];

const CLUSTER: &[Key] = &[
    key(
        "manifests",
        List(&File),
        "",
        "files, folders and patterns of Kubernetes objects, relative to the scenario",
    ),
    key(
        "staticProvisioner",
        STATIC_PROVISIONER,
        "off",
        "local volumes of the manifests with policy Delete are wiped when released, and made anew",
    ),
    key("storageClasses", List(&Object(STORAGE_CLASS)), "", "classes made by the scenario"),
    key("nodes", List(&Object(NODE_GROUP)), "", "groups of equal nodes"),
];

const STORAGE_CLASS: &[Key] = &[
    key("name", Text, "required", "name"),
    key("provisioner", Text, "kubernetes.io/no-provisioner", "provisioner"),
    key(
        "volumeBindingMode",
        Choice(&["Immediate", "WaitForFirstConsumer"]),
        "Immediate",
        "when claims are bound",
    ),
    key("reclaimPolicy", Choice(&["Delete", "Retain"]), "Delete", "of provisioned volumes"),
    key(
        "allowVolumeExpansion",
        Bool,
        "true where volumes are provisioned, else false",
        "claims may ask for more later",
    ),
    key("default", Bool, "false", "the class of claims that name none"),
];

const NODE_GROUP: &[Key] = &[
    key("name", Text, "required", "nodes are named `<name>-0`, `<name>-1` ..."),
    key("shape", Text, "", "machine shape from the catalogue (`stowplan catalog machines`)"),
    key("count", NODE_COUNT, "1", "number of nodes"),
    key("cpu", Quantity, "the shape's", "CPU of a node; required without `shape`"),
    key("memory", Quantity, "the shape's", "memory of a node; required without `shape`"),
    key("pods", NODE_COUNT, "110", "pods per node"),
    key("resources", Map(&Quantity), "", "extended resources, such as nvidia.com/gpu"),
    key("zones", List(&Text), "", "label topology.kubernetes.io/zone, round robin"),
    key("racks", Int(1, 100_000), "", "label rack = `<zone>-r<k>`, round robin"),
    key("labels", Map(&Text), "", "further labels"),
    key("taints", List(&TAINT), "", "`key=value:Effect`"),
    key(
        "reserved",
        Object(&[key("cpu", Quantity, "0", ""), key("memory", Quantity, "0", "")]),
        "none",
        "allocatable = capacity - reserved",
    ),
    key(
        "price",
        OneOf(&[Number, Map(&Number)]),
        "",
        "price of one node per hour, for `plan`; or by shape: {i4i.4xlarge: 1.37}",
    ),
    key("disks", List(&Object(DISK)), "", "disks that become volumes"),
];

const TAINT: Type = OneOf(&[
    Text,
    Object(&[
        key("key", Text, "required", ""),
        key("value", Text, "", ""),
        key("effect", Choice(&["NoSchedule", "PreferNoSchedule", "NoExecute"]), "required", ""),
    ]),
]);

const DISK: &[Key] = &[
    key("class", Text, "required", "class of the volumes"),
    key("count", Int(0, 1_000), "all that are left of the shape, else 1", "number of disks"),
    key("size", Quantity, "the shape's", "size of a disk"),
    key(
        "split",
        OneOf(&[Int(1, 10_000), Choice(&["whole"])]),
        "one of the three",
        "n equal volumes, rounded down to 1 MiB; or the disk as one",
    ),
    key("sizes", List(&Quantity), "one of the three", "volumes of these sizes"),
    key(
        "lvm",
        Object(&[
            key("extent", Quantity, "4Mi", "allocation unit"),
            key("overcommit", Number, "1.0", "bytes promised per byte there is"),
        ]),
        "one of the three",
        "a volume group",
    ),
    key("reclaim", Choice(&["Delete", "Retain"]), "Delete", "reclaim policy of the volumes"),
    key("volumeMode", Choice(&["Filesystem", "Block"]), "Filesystem", "mode of the volumes"),
    key("staticProvisioner", STATIC_PROVISIONER, "on", "released volumes are wiped and made anew"),
];

const STATIC_PROVISIONER: Type = OneOf(&[
    Bool,
    Object(&[key(
        "wipe",
        OneOf(&[Rate, Duration]),
        "at once",
        "speed of wiping a released volume, or how long it takes whatever the size",
    )]),
]);

const WORKLOAD: &[Key] = &[
    key("manifests", List(&File), "", "files, folders and patterns of Kubernetes objects"),
    key("generate", List(&Object(GENERATOR)), "", "generators of sets"),
    key("trace", Object(TRACE), "", "a recorded workload"),
];

const GENERATOR: &[Key] = &[
    key("name", Text, "required", "sets are named `<name>-0`, `<name>-1` ..."),
    key("kind", Choice(&["StatefulSet", "Deployment", "Job", "Pod"]), "StatefulSet", "what is made"),
    key("preset", Text, "", "workload preset from the catalogue; what stands beside it wins"),
    key("sets", Int(0, 10_000_000), "1; without end where there are `arrivals`", "number of sets"),
    key("replicas", Int(0, 1_000_000), "1", "pods per set"),
    key("cpu", Quantity, "none", "request of a pod"),
    key("memory", Quantity, "none", "request of a pod"),
    key("resources", Map(&Quantity), "", "requests of extended resources"),
    key("class", Text, "", "class of claims that name none"),
    key("claims", List(&Object(CLAIM)), "the preset's", "claim templates"),
    key(
        "antiAffinity",
        Choice(&["required", "preferred", "none"]),
        "none",
        "among the pods of a set, by hostname",
    ),
    key(
        "podManagementPolicy",
        Choice(&["OrderedReady", "Parallel"]),
        "OrderedReady",
        "order of a StatefulSet's pods",
    ),
    key(
        "claimRetention",
        Object(&[
            key("whenDeleted", Choice(&["Retain", "Delete"]), "Retain", "claims of a set that is deleted"),
            key("whenScaled", Choice(&["Retain", "Delete"]), "Retain", "claims of pods that are scaled away"),
        ]),
        "",
        "what becomes of claims",
    ),
    key("group", Bool, "false", "each set is a database group with quorum, for `recovery`"),
    key(
        "arrivals",
        Object(&[
            key("every", VaryingTime, "required", "time between two sets"),
            key("start", Duration, "0s", "time of the first"),
        ]),
        "all at the start",
        "when sets come",
    ),
    key("lifetime", VaryingTime, "for ever", "how long a set lives; for a Job how long its pods run"),
    key("labels", Map(&Text), "", "labels of the pods"),
    key("nodeSelector", Map(&Text), "", "node labels that the pods ask for"),
    key("tolerations", List(&TOLERATION), "", "`key=value:Effect`"),
    key("priority", Number, "0", "priority of the pods"),
];

const TOLERATION: Type = OneOf(&[
    Text,
    Object(&[
        key("key", Text, "every key", ""),
        key("operator", Choice(&["Exists", "Equal"]), "Equal", ""),
        key("value", Text, "", ""),
        key("effect", Text, "every effect", ""),
    ]),
]);

const CLAIM: &[Key] = &[
    key("name", Text, "data", "name of the template; claims are named `<name>-<pod>`"),
    key("class", Text, "the only or default class", "class"),
    key("size", VaryingSize, "the preset's", "request; drawn once per set"),
    key("volumeMode", Choice(&["Filesystem", "Block"]), "Filesystem", "mode"),
    key(
        "accessModes",
        List(&Choice(&["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"])),
        "[ReadWriteOnce]",
        "access modes",
    ),
];

const FILES: Type = OneOf(&[File, List(&File)]);

const TRACE: &[Key] = &[
    key("format", Choice(crate::scenario::types::TRACE_FORMATS), "required", "format of the files"),
    key("files", FILES, "required", "files with pods; `${NAME}` is an environment variable"),
    key(
        "nodes",
        OneOf(&[File, List(&File), Object(TRACE_NODES)]),
        "",
        "files with nodes, and what the trace does not say about them",
    ),
    key("gpu", Choice(&["ignore", "count"]), "ignore", "leave GPUs out, or count them as nvidia.com/gpu"),
    key(
        "mode",
        OneOf(&[
            Choice(&["fill", "clock"]),
            Object(&[key("compress", Number, "required", "arrival times are divided by it")]),
        ]),
        "clock",
        "how times are used",
    ),
    key(
        "until",
        Object(&[
            key("cpu", Share, "", ""),
            key("memory", Share, "", ""),
            key("disk", Share, "", ""),
            key("gpu", Share, "", ""),
        ]),
        "all rows",
        "where `fill` stops: arrived demand over allocatable",
    ),
    key("interval", Duration, "1s", "time between arrivals of `fill`"),
    key(
        "claims",
        Object(&[
            key("share", Share, "100%", "share of the pods that get a claim"),
            key("class", Text, "the only or default class", "class"),
            key("size", VaryingSize, "the trace's", "size of a claim, by rule"),
        ]),
        "",
        "claims, where the trace has none",
    ),
    key("maxCpu", Quantity, "", "CPU that 1.0 means in a normalized trace"),
    key("maxMemory", Quantity, "", "memory that 1.0 means"),
    key("maxDisk", Quantity, "", "disk that 1.0 means"),
    key(
        "window",
        OneOf(&[
            List(&Duration),
            Object(&[key("from", Duration, "0s", ""), key("to", Duration, "required", "")]),
        ]),
        "",
        "only this part of the trace's time",
    ),
    key("thin", Int(1, 1_000_000_000), "1", "keep every n-th job or pod"),
    key("group", Choice(&["pods", "sets"]), "pods", "make sets of the trace's jobs"),
    key("placement", Choice(&["scheduler", "trace"]), "scheduler", "who decides where pods go"),
    key("skipBadRows", Int(0, u64::MAX), "0", "bad rows that are skipped and counted"),
    key("sortMemory", Quantity, "256Mi", "memory for sorting a trace that is not in time order"),
    key("azureMachine", Int(0, u64::MAX), "", "azure-packing-2020: the machine generation that nodes are"),
    key("innerTasks", Bool, "false", "google-2019: tasks inside alloc sets are pods, not the sets"),
];

const TRACE_NODES: &[Key] = &[
    key("files", FILES, "", "files with nodes"),
    key("disks", List(&Object(DISK)), "", "disks of every node"),
    key("pods", NODE_COUNT, "110", "pods per node"),
    key("taints", List(&TAINT), "", "taints of every node"),
];

const NODE_AND_DISK: &[Key] =
    &[key("node", Text, "required", ""), key("disk", Int(0, 1_000_000), "required", "number, from 0")];

const TIMELINE: &[Key] = &[
    key("at", Duration, "required", "when; each entry does one of the following"),
    key("nodeDown", Text, "", "a node goes silent"),
    key("nodeUp", Text, "", "it reports again"),
    key("nodeDelete", Text, "", "its object is deleted"),
    key("zoneDown", Text, "", "all nodes of a zone go silent"),
    key("zoneUp", Text, "", "they report again"),
    key("rackDown", Text, "", "all nodes of a rack (`<zone>-r<k>`, or `r<k>` without zones) go silent"),
    key("rackUp", Text, "", "they report again"),
    key("cordon", Text, "", "kubectl cordon"),
    key("uncordon", Text, "", "kubectl uncordon"),
    key("drain", Text, "", "kubectl drain"),
    key(
        "taint",
        Object(&[
            key("node", Text, "required", ""),
            key("taint", TAINT, "required", ""),
            key("remove", Bool, "false", ""),
        ]),
        "",
        "set or remove a taint",
    ),
    key("diskFail", Object(NODE_AND_DISK), "", "a disk dies with its volumes"),
    key("diskRepair", Object(NODE_AND_DISK), "", "an empty one takes its place"),
    key(
        "expand",
        Object(&[
            key("pvc", Text, "required", "namespace/name"),
            key("size", Quantity, "required", "its new request"),
        ]),
        "",
        "a claim asks for more; its class must allow it (volume groups do)",
    ),
    key(
        "deletePod",
        OneOf(&[
            Text,
            Object(&[
                key("name", Text, "required", "namespace/name"),
                key("force", Bool, "false", "without grace"),
            ]),
        ]),
        "",
        "delete a pod",
    ),
    key("deletePvc", Text, "", "delete a claim, namespace/name"),
    key(
        "deletePv",
        OneOf(&[
            Text,
            Object(&[
                key("name", Text, "required", "volume"),
                key("force", Bool, "false", "whatever its finalizers say"),
            ]),
        ]),
        "",
        "delete a volume",
    ),
    key("clearClaimRef", Text, "", "make a Released volume Available"),
    key(
        "delete",
        Object(&[key("kind", Text, "required", ""), key("name", Text, "required", "namespace/name")]),
        "",
        "delete any object",
    ),
    key(
        "scale",
        Object(&[
            key("statefulset", Text, "", "namespace/name"),
            key("deployment", Text, "", "namespace/name"),
            key("replicaset", Text, "", "namespace/name"),
            key("replicationcontroller", Text, "", "namespace/name"),
            key("replicas", Int(0, 1_000_000), "required", ""),
        ]),
        "",
        "change the replicas of a workload",
    ),
    key("apply", FILES, "", "apply files of Kubernetes objects"),
    key(
        "setAllocatable",
        Object(&[
            key("node", Text, "required", ""),
            key("resources", Map(&Quantity), "", ""),
            key("cpu", Quantity, "", ""),
            key("memory", Quantity, "", ""),
            key("pods", Quantity, "", ""),
        ]),
        "",
        "change what a node offers",
    ),
    key("controllerManagerDown", Duration, "", "kube-controller-manager is away"),
];

const FAILURE: &[Key] = &[
    key(
        "mtbf",
        VaryingTime,
        "required",
        "working time between failures; a plain duration is the mean of an exponential",
    ),
    key("repair", VaryingTime, "4h", "time to repair"),
    key("permanent", Share, "0", "share that never comes back"),
];

const FAILURES: &[Key] = &[
    key("node", Object(FAILURE), "", "per node"),
    key("zone", Object(FAILURE), "", "per zone"),
    key("rack", Object(FAILURE), "", "per rack"),
    key("disk", Object(FAILURE), "", "per disk"),
];

const RECOVERY: &[Key] = &[
    key(
        "policy",
        OneOf(&[Choice(&["wait", "immediate"]), Object(&[key("after", Duration, "required", "")])]),
        "wait",
        "when a lost replica's claim is deleted",
    ),
    key(
        "rebuild",
        Choice(&["backup", "peer"]),
        "backup",
        "where a rebuilt member's data comes from; `peer`: a running member, or the newest backup if none runs",
    ),
    key(
        "backup",
        Object(&[
            key("every", Duration, "1d", "time between two"),
            key("size", OneOf(&[Choice(&["claim"]), VaryingSize]), "claim", "bytes copied"),
            key(
                "bandwidth",
                Rate,
                "200MB/s",
                "of the store of backups, of a member as source, and of a node as target; copies share it",
            ),
            key("parallel", Int(1, 1_000_000), "1", "copies at a time"),
        ]),
        "",
        "backups",
    ),
    key(
        "catchUp",
        Object(&[
            key("writeRate", Rate, "5MB/s", "what the others write meanwhile"),
            key("replayRate", Rate, "40MB/s", "speed of catching up"),
        ]),
        "",
        "catching up after the copy",
    ),
    key(
        "quorum",
        OneOf(&[Choice(&["majority"]), Int(1, 1_000_000)]),
        "majority",
        "members that must be there",
    ),
];

const VARIANT: &[Key] = &[
    key("name", Text, "required", "name"),
    key(
        "bindingMode",
        Choice(&["Immediate", "WaitForFirstConsumer"]),
        "as written",
        "replaces every class's volumeBindingMode",
    ),
    key("set", Map(&Any), "", "changes: path -> value"),
];

const AXIS: &[Key] = &[
    key("path", Text, "required", "what is varied"),
    key("values", List(&Any), "one of the three", "a list"),
    key(
        "range",
        Object(&[
            key("from", Any, "required", "first; may have a unit"),
            key("to", Any, "required", "last; same unit"),
            key("step", Any, "1", ""),
            key("count", Int(2, 1_000_000), "", "instead of `step`"),
        ]),
        "one of the three",
        "equal steps",
    ),
    key(
        "logRange",
        Object(&[
            key("from", Any, "required", "first"),
            key("to", Any, "required", "last"),
            key("count", Int(2, 1_000_000), "required", ""),
            key("round", Number, "whole numbers stay whole", "round to multiples of it"),
        ]),
        "one of the three",
        "equal ratios",
    ),
];

const SWEEP: &[Key] = &[
    key("replications", Int(1, 10_000_000), "1", "runs per point and variant, with seeds of their own"),
    key("axes", List(&Object(AXIS)), "", "parameters; the path `variants` says which variants are run"),
    key(
        "design",
        OneOf(&[
            Choice(&["grid"]),
            Object(&[
                key("random", Int(1, u32::MAX as u64), "one of the three", "so many points, drawn"),
                key(
                    "latinHypercube",
                    Int(1, u32::MAX as u64),
                    "one of the three",
                    "so many points, each value of an axis equally often",
                ),
                key("sobol", Int(1, u32::MAX as u64), "one of the three", "so many points, evenly spread"),
            ]),
        ]),
        "grid",
        "all points, or a sample of them",
    ),
    key("filters", List(&Text), "", "conditions on the axes that a point must meet"),
];

const PLAN: &[Key] = &[
    key(
        "require",
        Object(&[
            key("stuck", Text, "", "`<= 1%` of the wanted pods ever stuck"),
            key("stuckSets", Text, "", "`<= 1%` of the wanted sets ever stuck"),
            key("pendingP99", Text, "", "`<= 60s` until scheduled"),
            key("quorumLoss", Text, "", "`<= 5m` without quorum per group and 30 days"),
            key(
                "survive",
                Object(&[
                    key("nodes", Int(0, 1000), "required", "lost at once"),
                    key("within", Duration, "24h", "until all runs again"),
                ]),
                "",
                "loss of nodes",
            ),
        ]),
        "required",
        "the service level",
    ),
    key("replications", Int(10, 10_000), "10", "runs per configuration, paired by seed"),
    key(
        "fit",
        List(&OneOf(&[Text, List(&Text)])),
        "",
        "how many more sets of these generators fit before the first stuck pod",
    ),
    key(
        "forecast",
        List(&Object(&[
            key("workload", Text, "required", "generator that grows"),
            key(
                "growth",
                OneOf(&[Share, Number]),
                "required",
                "per period: 10% of its sets, or so many sets",
            ),
            key("every", Duration, "30d", "a period"),
            key("horizon", Duration, "3y", "how far to look"),
        ])),
        "",
        "when the disks are full at this growth",
    ),
    key("confidence", Share, "95%", "confidence that it holds"),
    key("vary", List(&Object(AXIS)), "", "what may be changed"),
    key("minimize", Choice(&["price", "nodes"]), "nodes", "what is made small"),
];

const REPORT: &[Key] = &[
    key("stuckAfter", Duration, "5m", "a wanted replica that has not been running for longer is stuck"),
    key("sample", Duration, "1m", "period of the time series"),
];
