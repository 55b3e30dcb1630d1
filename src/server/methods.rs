//! The methods there are: a closed set, so that limits and metrics are made for each before any call, and
//! none is served of which nobody said who may call it.

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::config::Role;
use crate::proto;

/// What a method is to the server when there is too much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It computes: refused when too much of it is under way.
    Work,
    /// It is how an owner looks at the server and changes it: answered always.
    Admin,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever can connect.
    Everyone,
    /// Whoever has any role at all.
    AnyRole,
    /// Whoever has this role.
    Role(Role),
    /// Nobody: it is none of ours.
    Nobody,
}

/// A method, or all that are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method(usize);

/// How many there are, the unknown ones counted as one.
pub(crate) const N_METHODS: usize = PATHS.len() + 1;

const PATHS: [(&str, Kind, Access); 14] = [
    ("/dictum.v1.ClassifierService/Classify", Kind::Work, Access::Role(Role::Classify)),
    ("/dictum.v1.ClassifierService/BatchClassify", Kind::Work, Access::Role(Role::Classify)),
    ("/dictum.v1.ClassifierService/StreamClassify", Kind::Work, Access::Role(Role::Classify)),
    ("/dictum.v1.ClassifierService/ClassifyText", Kind::Work, Access::Role(Role::Classify)),
    ("/dictum.v1.ModelService/TrainModel", Kind::Work, Access::Role(Role::Train)),
    ("/dictum.v1.ModelService/EvaluateModel", Kind::Work, Access::Role(Role::Train)),
    ("/dictum.v1.ModelService/ListModels", Kind::Admin, Access::AnyRole),
    ("/dictum.v1.ModelService/GetModel", Kind::Admin, Access::AnyRole),
    ("/dictum.v1.ModelService/ActivateModel", Kind::Admin, Access::Role(Role::Admin)),
    ("/dictum.v1.ModelService/DeleteModel", Kind::Admin, Access::Role(Role::Admin)),
    ("/dictum.v1.ModelService/VerifyModel", Kind::Admin, Access::Role(Role::Admin)),
    ("/grpc.health.v1.Health/Check", Kind::Admin, Access::Everyone),
    ("/grpc.health.v1.Health/Watch", Kind::Admin, Access::Everyone),
    (REFLECTION, Kind::Admin, Access::Everyone),
];

/// Stands for both versions of reflection.
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const OLD_REFLECTION: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

impl Method {
    /// The method of a request.
    pub(crate) fn of(path: &str) -> Self {
        let path = if path == OLD_REFLECTION { REFLECTION } else { path };
        let known = PATHS.iter().position(|(known, ..)| *known == path);
        Self(known.unwrap_or(PATHS.len()))
    }

    /// Every method.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..N_METHODS).map(Self)
    }

    /// Its place among them, from 0 to [`N_METHODS`] − 1.
    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// The full name, such as `dictum.v1.ClassifierService/Classify`; `unknown` for what is none.
    pub(crate) fn name(self) -> &'static str {
        PATHS.get(self.0).map_or("unknown", |(path, ..)| path.trim_start_matches('/'))
    }

    /// Its service and its own name, if it is a method of our contract.
    pub(crate) fn of_ours(self) -> Option<(&'static str, &'static str)> {
        match self.access() {
            Access::AnyRole | Access::Role(_) => self.name().split_once('/'),
            Access::Everyone | Access::Nobody => None,
        }
    }

    /// What it is when there is too much to do. An unknown method only answers that it is.
    pub(crate) fn kind(self) -> Kind {
        PATHS.get(self.0).map_or(Kind::Admin, |(_, kind, _)| *kind)
    }

    /// Who may call it.
    pub(crate) fn access(self) -> Access {
        PATHS.get(self.0).map_or(Access::Nobody, |(_, _, access)| *access)
    }
}

/// A method is served of which nobody said who may call it.
#[derive(Debug, thiserror::Error)]
#[error("nobody said who may call {0}")]
pub struct NoPolicy(String);

/// Checks that every method of these services, as they are described, is known here.
pub(crate) fn check(services: &[&str]) -> Result<(), NoPolicy> {
    let descriptions = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET);
    let files = descriptions.map_err(|error| NoPolicy(error.to_string()))?.file;
    for file in &files {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            for method in service.method.iter().filter(|_| services.contains(&&*service_name)) {
                let path = format!("/{service_name}/{}", method.name());
                if Method::of(&path).access() == Access::Nobody {
                    return Err(NoPolicy(path));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;
    use crate::server::routes::SERVICES;

    #[test]
    fn every_method_of_the_contract_is_known() {
        let pool = DescriptorPool::decode(crate::proto::FILE_DESCRIPTOR_SET).expect("descriptors");
        let mut n = 0;
        for service in pool.services().filter(|s| SERVICES.contains(&s.full_name())) {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                assert_eq!(format!("/{}", Method::of(&path).name()), path);
                n += 1;
            }
        }
        assert_eq!(n, 11);
    }

    #[test]
    fn both_versions_of_reflection_are_one_and_all_else_is_unknown() {
        assert_eq!(Method::of(OLD_REFLECTION), Method::of(REFLECTION));
        assert_eq!(Method::of("/dictum.v1.ClassifierService/Nothing").name(), "unknown");
        assert_eq!(Method::all().count(), N_METHODS);
    }
}
