//! Kubelets: pods start, report, stop and complete.

use super::*;
use crate::control::{Step, kubelet};
use crate::model::pod::PodPhase;

impl<O: Observer> World<'_, O> {
    pub(super) fn kubelet_step(&mut self, pod: PodId) -> Step {
        let Some(node) = self.cluster.pods().get(pod).and_then(|p| p.node) else { return Step::Done };
        let (works, timing) = (self.kubelet_works(node), self.plan.timing);
        let row = self.cluster.pod(pod);
        let (uid, epoch) = (row.uid, epoch_of(row.uid));
        let duty = kubelet::duty(&self.cluster, pod, works);
        if duty == kubelet::Duty::Start && !self.member_may_start(pod) {
            return Step::Done;
        }
        let starts = duty == kubelet::Duty::Start && timing.kubelet_start.is_zero();
        if starts || duty == kubelet::Duty::Report {
            let ready = self.ready_at_once(pod);
            let row = self.cluster.pod(pod);
            if (row.phase, row.ready) == (PodPhase::Running, ready) {
                return Step::Done;
            }
            return Step::Write(Write::SetPodStatus { pod, uid, phase: PodPhase::Running, ready });
        }
        match duty {
            kubelet::Duty::None | kubelet::Duty::Report => Step::Done,
            kubelet::Duty::Start => {
                if !std::mem::replace(&mut self.pod_state(pod).starting, true) {
                    let at = self.now + timing.kubelet_start;
                    self.plan_event(at, RANK_CONTROLLERS, Event::Started(pod, epoch));
                }
                Step::Done
            }
            kubelet::Duty::Stop if timing.kubelet_stop.is_zero() => {
                Step::Write(Write::RemovePod { pod, uid })
            }
            kubelet::Duty::Stop => {
                if !std::mem::replace(&mut self.pod_state(pod).stopping, true) {
                    let at = self.now + timing.kubelet_stop;
                    self.plan_event(at, RANK_CONTROLLERS, Event::Stopped(pod, epoch));
                }
                Step::Done
            }
        }
    }
    pub(super) fn started(&mut self, pod: PodId, epoch: u32) {
        if !self.is_same_pod(pod, epoch) {
            return;
        }
        self.pod_state(pod).starting = false;
        let works = self.cluster.pod(pod).node.is_some_and(|node| self.kubelet_works(node));
        if kubelet::duty(&self.cluster, pod, works) == kubelet::Duty::Start {
            let (uid, ready) = (self.cluster.pod(pod).uid, self.ready_at_once(pod));
            let _ = self.write(Write::SetPodStatus { pod, uid, phase: PodPhase::Running, ready });
        }
    }
    pub(super) fn stopped(&mut self, pod: PodId, epoch: u32) {
        if !self.is_same_pod(pod, epoch) {
            return;
        }
        self.pod_state(pod).stopping = false;
        let works = self.cluster.pod(pod).node.is_some_and(|node| self.kubelet_works(node));
        if kubelet::duty(&self.cluster, pod, works) == kubelet::Duty::Stop {
            let uid = self.cluster.pod(pod).uid;
            let _ = self.write(Write::RemovePod { pod, uid });
        }
    }
    pub(super) fn completed(&mut self, pod: PodId, epoch: u32) {
        if self.is_same_pod(pod, epoch) && self.cluster.pod(pod).phase == PodPhase::Running {
            let uid = self.cluster.pod(pod).uid;
            let _ = self.write(Write::SetPodStatus { pod, uid, phase: PodPhase::Succeeded, ready: false });
        }
    }
}
