//! The controller's Kubernetes events, as small values that are put into words at the edge.

use crate::model::cluster::Cluster;
use crate::model::ids::{ClaimId, VolumeId};
use crate::model::names::Sym;
use crate::observe::Subject;

/// Why a volume cannot serve the claim that names it (`checkVolumeSatisfyClaim`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is being deleted.
    Deleted,
    /// Too small.
    Size,
    /// Another class.
    Class,
    /// Another VolumeAttributesClass.
    AttributesClass,
    /// File system or block device.
    Mode,
    /// It lacks an access mode.
    AccessModes,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PvEventKind {
    /// The claim waits for a pod.
    WaitForFirstConsumer,
    /// The claim waits for its pods to be scheduled.
    WaitForPodScheduled,
    /// No volume fits, and there is no class that could make one.
    NoVolumeNoClass,
    /// The volume that the claim names is another claim's.
    AlreadyBound(Sym),
    /// The volume that the claim names does not fit.
    Mismatch(Sym, Misfit),
    /// The class's provisioner is no plugin of the controller, nor can it be an external one.
    NoPlugin(Sym),
    /// There is no such class.
    ClassNotFound(Sym),
    /// An external provisioner was asked.
    ExternalProvisioning(Sym),
    /// A bound claim whose `volumeName` is empty.
    ClaimLostReference,
    /// A bound claim whose volume is gone.
    ClaimLostVolume,
    /// A bound claim whose volume is another claim's.
    ClaimMisbound,
    /// The claim that a volume names has another volume mode; said of the volume.
    ModeMismatchOfVolume(ClaimId),
    /// The same, said of the claim.
    ModeMismatchOfClaim(Sym),
    /// No plugin can delete the volume.
    FailedDelete,
    /// No plugin of the name in `provisioned-by` can delete the volume.
    FailedDeleteByName(Sym),
    /// No plugin can recycle the volume.
    FailedRecycle,
    /// Pods still use the volume.
    RecycleInUse,
    /// The volume was recycled.
    Recycled,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PvEvent {
    /// The claim or volume it is about.
    pub about: Subject,
    /// What happened.
    pub kind: PvEventKind,
}

impl PvEvent {
    /// About a claim.
    pub fn claim(claim: ClaimId, kind: PvEventKind) -> PvEvent {
        PvEvent { about: Subject::Claim(claim), kind }
    }
    /// About a volume.
    pub fn volume(volume: VolumeId, kind: PvEventKind) -> PvEvent {
        PvEvent { about: Subject::Volume(volume), kind }
    }
    /// The event's reason.
    pub fn reason(&self) -> &'static str {
        use PvEventKind as K;
        match self.kind {
            K::WaitForFirstConsumer => "WaitForFirstConsumer",
            K::WaitForPodScheduled => "WaitForPodScheduled",
            K::NoVolumeNoClass | K::AlreadyBound(_) => "FailedBinding",
            K::Mismatch(..) | K::ModeMismatchOfVolume(_) | K::ModeMismatchOfClaim(_) => "VolumeMismatch",
            K::NoPlugin(_) | K::ClassNotFound(_) => "ProvisioningFailed",
            K::ExternalProvisioning(_) => "ExternalProvisioning",
            K::ClaimLostReference | K::ClaimLostVolume => "ClaimLost",
            K::ClaimMisbound => "ClaimMisbound",
            K::FailedDelete | K::FailedDeleteByName(_) => "VolumeFailedDelete",
            K::FailedRecycle | K::RecycleInUse => "VolumeFailedRecycle",
            K::Recycled => "VolumeRecycled",
        }
    }
    /// Type Warning; else Normal.
    pub fn is_warning(&self) -> bool {
        use PvEventKind as K;
        !matches!(
            self.kind,
            K::WaitForFirstConsumer
                | K::WaitForPodScheduled
                | K::NoVolumeNoClass
                | K::ExternalProvisioning(_)
                | K::RecycleInUse
                | K::Recycled
        )
    }
    /// Kubernetes' words. The cluster must be the one of the moment of the event.
    pub fn message(&self, cluster: &Cluster) -> String {
        use PvEventKind as K;
        let text = |s: Sym| cluster.names.text(s);
        match self.kind {
            K::WaitForFirstConsumer => "waiting for first consumer to be created before binding".to_owned(),
            K::WaitForPodScheduled => self.waiting_pods(cluster),
            K::NoVolumeNoClass => {
                "no persistent volumes available for this claim and no storage class is set".to_owned()
            }
            K::AlreadyBound(v) => format!("volume \"{}\" already bound to a different claim.", text(v)),
            K::Mismatch(v, misfit) => {
                format!("Cannot bind to requested volume \"{}\": {}", text(v), misfit.text(text(v)))
            }
            K::NoPlugin(name) => format!("no volume plugin matched name: {}", text(name)),
            K::ClassNotFound(class) => format!("storageclass.storage.k8s.io \"{}\" not found", text(class)),
            K::ExternalProvisioning(name) => format!(
                "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system \
                 administrator. If volume creation is delayed, please verify that the provisioner is running and correctly \
                 registered.",
                text(name)
            ),
            K::ClaimLostReference => {
                "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!".to_owned()
            }
            K::ClaimLostVolume => {
                "Bound claim has lost its PersistentVolume. Data on the volume is lost!".to_owned()
            }
            K::ClaimMisbound => {
                "Two claims are bound to the same volume, this one is bound incorrectly".to_owned()
            }
            K::ModeMismatchOfVolume(claim) => {
                let name = cluster.claims().get(claim).map(|c| cluster.names.show(c.name).to_string());
                format!(
                    "Cannot bind PersistentVolume to requested PersistentVolumeClaim \"{}\" due to incompatible volumeMode.",
                    name.unwrap_or_default()
                )
            }
            K::ModeMismatchOfClaim(v) => format!(
                "Cannot bind PersistentVolume \"{}\" to requested PersistentVolumeClaim due to incompatible volumeMode.",
                text(v)
            ),
            K::FailedDelete => format!(
                "error getting deleter volume plugin for volume \"{}\": no volume plugin matched",
                self.volume_name(cluster)
            ),
            K::FailedDeleteByName(name) => format!("no volume plugin matched name: {}", text(name)),
            K::FailedRecycle => "No recycler plugin found for the volume!".to_owned(),
            K::RecycleInUse => self.using_pods(cluster),
            K::Recycled => "Volume recycled".to_owned(),
        }
    }

    fn volume_name<'a>(&self, cluster: &'a Cluster) -> &'a str {
        match self.about {
            Subject::Volume(id) => cluster.volumes().get(id).map_or("", |v| cluster.names.text(v.name)),
            _ => "",
        }
    }
    fn waiting_pods(&self, cluster: &Cluster) -> String {
        let Subject::Claim(id) = self.about else { return String::new() };
        let show = |pod| cluster.names.show(cluster.pod(pod).name).to_string();
        let pods: Vec<String> = super::claim::unscheduled_users(cluster, id).map(show).collect();
        match &*pods {
            [pod] => format!("waiting for pod {pod} to be scheduled"),
            pods => format!("waiting for pods {} to be scheduled", pods.join(",")),
        }
    }
    fn using_pods(&self, cluster: &Cluster) -> String {
        let Subject::Volume(id) = self.about else { return String::new() };
        let mut pods: Vec<String> =
            super::volume::users(cluster, id).map(|pod| cluster.pod_key(pod)).collect();
        pods.sort();
        format!("Volume is used by pods: {}", pods.join(","))
    }
}

impl Misfit {
    fn text(self, volume: &str) -> String {
        match self {
            Misfit::Deleted => format!("the volume is marked for deletion \"{volume}\""),
            Misfit::Size => "requested PV is too small".to_owned(),
            Misfit::Class => "storageClassName does not match".to_owned(),
            Misfit::AttributesClass => "volumeAttributesClassName does not match".to_owned(),
            Misfit::Mode => "incompatible volumeMode".to_owned(),
            Misfit::AccessModes => "incompatible accessMode".to_owned(),
        }
    }
}
