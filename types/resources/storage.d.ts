// Storage.

import type { AnyCase, Described } from './definitions';

/** A place for files. */
export interface StorageResource extends Described {
  tag: string;
  envs: readonly StorageEnvironment[];
  /** What jobs do; an event that is not listed is an upload. */
  events?: readonly StorageEvent[];
}

/** Where files are in one environment. */
export type StorageEnvironment = {
  slug: string;
  description?: string;
  /** From where uploads may take their content, besides the input. */
  sources?: FileSources;
} & (
  | { type: AnyCase<'local'>; config: LocalFolder }
  | { type: AnyCase<'aws'>; config: AwsBucket }
  | { type: AnyCase<'gcp'>; config: GcpBucket }
  | { type: AnyCase<'azure'>; config: AzureContainer }
);

/** From where uploads may take their content, besides the input. */
export interface FileSources {
  /** The folder of this machine whose files they may name by `file: { path }`. Without it they may name none. */
  folder?: string;
  /** Whether they may name URLs with private addresses by `file: { url }`, where `outbound` allows those. Default false. */
  privateAddresses?: boolean;
}

/**
 * A bucket of S3, or of a service that speaks its protocol. Without a key, one is looked for as AWS's own tools do: in the
 * environment, a profile, a web identity, a container, the machine.
 */
export type AwsBucket = ({ bucketName: string } | { bucket: string }) & {
  /** Default: `AWS_REGION` of the environment; `us-east-1` with `endpoint`. */
  region?: string;
  accessKeyId?: string;
  secretAccessKey?: string;
  /** Of a temporary key. */
  sessionToken?: string;
  /** The profile whose key is looked for. */
  profile?: string;
  /** URL of a service other than Amazon's, such as MinIO or R2. */
  endpoint?: string;
  /** Whether the bucket is in the path of URLs instead of their host. Default true with `endpoint`, and for names with dots. */
  forcePathStyle?: boolean;
  /** The same as `forcePathStyle`. */
  pathStyle?: boolean;
  /** CA certificates in PEM that are trusted besides the system's. */
  ca?: string;
};

/**
 * A bucket of Google Cloud Storage. Without a key, `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's file and the account of the machine
 * are asked.
 */
export type GcpBucket = ({ bucketName: string } | { bucket: string }) & {
  /** The key of a service account, as an object or JSON text. */
  config?: Record<string, unknown> | string;
  /** The same as `config`. */
  credentials?: Record<string, unknown> | string;
  /** Path of a file with such a key. */
  keyFilename?: string;
  /** URL of a service other than Google's. */
  endpoint?: string;
  /** CA certificates in PEM that are trusted besides the system's. */
  ca?: string;
};

/** A container of Azure Blob Storage. */
export type AzureContainer = ({ containerName: string } | { container: string }) &
  (
    | { connectionString: string }
    | {
        /** Without `accountKey` and `sasToken`, the identity of the machine is used. */
        accountName: string;
        /** In base64. */
        accountKey?: string;
        /** A signature that grants access, in place of a key. */
        sasToken?: string;
        /** URL of the account's blobs. */
        endpoint?: string;
      }
  ) & {
    /** CA certificates in PEM that are trusted besides the system's. */
    ca?: string;
  };

/** A folder of this machine. */
export interface LocalFolder {
  /** A relative path is taken from the working folder of the process. */
  root: string;
  /** Whether it is made when it is missing. Default true. */
  create?: boolean;
}

/** What the jobs of one event do. */
export interface StorageEvent extends Described {
  /** The `event` of its jobs. */
  tag: string;
  operation: 'upload' | 'download' | 'remove' | 'listFiles' | 'stats' | 'getSignedUrl';
  /** The folder that they keep to. */
  path?: string;
  /** Most bytes of a file that is written. Default 32 MiB. */
  maxBytes?: number;
}
