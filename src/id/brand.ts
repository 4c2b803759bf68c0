declare const brand: unique symbol

/** A type that the compiler keeps apart from other types of the same shape: `Brand<string, 'TenantId'>`. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }
