//! The methods there are: a closed set, so that limits and metrics are made for each before any call.

/// What a method is to the server when there is too much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It computes: refused when too much of it is under way.
    Work,
    /// It is how an owner looks at the server and changes it: answered always.
    Admin,
}

/// A method, or all that are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method(usize);

/// How many there are, the unknown ones counted as one.
pub(crate) const N_METHODS: usize = PATHS.len() + 1;

const PATHS: [(&str, Kind); 14] = [
    ("/dictum.v1.ClassifierService/Classify", Kind::Work),
    ("/dictum.v1.ClassifierService/BatchClassify", Kind::Work),
    ("/dictum.v1.ClassifierService/StreamClassify", Kind::Work),
    ("/dictum.v1.ClassifierService/ClassifyText", Kind::Work),
    ("/dictum.v1.ModelService/TrainModel", Kind::Work),
    ("/dictum.v1.ModelService/EvaluateModel", Kind::Work),
    ("/dictum.v1.ModelService/ListModels", Kind::Admin),
    ("/dictum.v1.ModelService/GetModel", Kind::Admin),
    ("/dictum.v1.ModelService/ActivateModel", Kind::Admin),
    ("/dictum.v1.ModelService/DeleteModel", Kind::Admin),
    ("/dictum.v1.ModelService/VerifyModel", Kind::Admin),
    ("/grpc.health.v1.Health/Check", Kind::Admin),
    ("/grpc.health.v1.Health/Watch", Kind::Admin),
    (REFLECTION, Kind::Admin),
];

/// Stands for both versions of reflection.
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const OLD_REFLECTION: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

impl Method {
    /// The method of a request.
    pub(crate) fn of(path: &str) -> Self {
        let path = if path == OLD_REFLECTION { REFLECTION } else { path };
        let known = PATHS.iter().position(|(known, _)| *known == path);
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
        PATHS.get(self.0).map_or("unknown", |(path, _)| path.trim_start_matches('/'))
    }

    /// What it is when there is too much to do. An unknown method only answers that it is.
    pub(crate) fn kind(self) -> Kind {
        PATHS.get(self.0).map_or(Kind::Admin, |(_, kind)| *kind)
    }
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
